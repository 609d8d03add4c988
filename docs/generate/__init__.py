"""Writes the pages that follow from the code: `python docs/generate`. A test compares them with the files."""
