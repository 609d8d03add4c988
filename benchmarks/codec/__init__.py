"""The codec beside its peers: trains vectors, measures, writes docs/results/codec-loss.md and codec.md."""
