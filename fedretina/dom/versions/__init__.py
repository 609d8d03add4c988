"""The versions of a model over time: payloads from one to the next, the cheapest route, versions on disk.

`log` keeps and routes payloads without decoding them, `stream` holds the versions themselves, `store` keeps them on disk,
`lineage` is the graph of versions that any set of payloads spans.
"""
