"""A city of four machines in network namespaces: how long enrolment and rounds take on a slow, lossy network."""
