"""Other frameworks on the same work: a model goes to each client, changes there, and comes back."""
