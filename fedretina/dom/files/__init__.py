"""Models and payloads as files: .safetensors, .npz, .dom, and folders of payloads."""
