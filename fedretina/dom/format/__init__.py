"""Wire format version 1: models to payloads and back (docs/reference/format.md).

`codec` is what users call. A payload is an `envelope` around a `header` and a body; `encoder` codes one tensor, `compose`
puts the payload together, `budget` makes it as large as asked, `decoder` and `inspect` read it.
"""
