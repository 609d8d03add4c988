"""The codec beside its peers: trains vectors, measures, writes the pages on loss and on coding."""
