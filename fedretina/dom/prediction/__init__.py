"""Matrices predicted by factors of low rank (format version 2): found, cut to the ranks that pay, multiplied bit-exactly.

`lanczos` finds the leading singular vectors, `rates` says how many of them pay, `factors` holds their integers.
Nothing here knows payloads.
"""
