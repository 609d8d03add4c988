"""The codec beside its peers: trains vectors, measures, writes docs/codec-benchmark.md."""
