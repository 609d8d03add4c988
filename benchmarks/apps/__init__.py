"""Whole Flower apps, plain beside DoM: what the two added lines change in metrics, bytes, time and records."""
