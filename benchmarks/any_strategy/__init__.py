"""What DoM does under Flower's strategies, beside plain Flower: measures, writes docs/results/any-strategy.md."""
