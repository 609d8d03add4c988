"""What the first sending of a pretrained network costs in accuracy."""
