"""Integers to bytes and back, through pcodec: in which order they lie, in which pieces they are packed.

`layout` describes channels by the spread of their values, `order` sorts a tensor by that, `packing` chooses the layout,
`trellis` splits dependent integers into streams, `integers` calls pcodec. Nothing here knows floats, steps or payloads.
"""
