"""Measure DoM under Flower's strategies, compared with plain Flower, and write docs/results/any-strategy.md."""
