"""Compare whole Flower apps with and without DoM: metrics, bytes, time and records."""
