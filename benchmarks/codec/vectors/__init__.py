"""The vectors: really trained models before and after one federated round, each with a judge of its loss."""
