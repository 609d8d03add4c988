"""Integers to bytes and back, through pcodec: their order, and the pieces that they are packed in.

- `layout` gives each channel a code: how large its values are.
- `order` sorts a tensor by these codes.
- `packing` chooses the layout.
- `trellis` splits the integers of dependent quantisation into streams.
- `integers` calls pcodec.

Nothing here knows floats, steps or payloads.
"""
