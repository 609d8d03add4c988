"""The schemes that are compared, one idea a file."""
