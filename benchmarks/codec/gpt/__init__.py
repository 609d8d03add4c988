"""The codec on transformers: adapters and other small tensors, budgets with sensitivities, speed."""
