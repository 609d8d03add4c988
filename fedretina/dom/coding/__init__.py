"""Integers to bytes and back, through pcodec: in which order they lie, in which pieces they are packed.

`layout` sorts a tensor's integers by the spread of their channels, `packing` chooses the layout, `trellis` splits dependent
integers into streams, `integers` calls pcodec. Nothing here knows floats, steps or payloads.
"""
