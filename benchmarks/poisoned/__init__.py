"""What bad peers do to a target: five attacks, with admission and held-out risks, and without."""
