"""Rows of a ledger, for tests that count bytes."""

from fedretina.ledger import Row


def row(number, direction, raw, wire, stream="duke"):
    return Row(
        round=number, node=1, domain="duke", direction=direction, kind="delta", stream=stream, version=1, base="",
        digest="", raw_bytes=raw, wire_bytes=wire, encode_s=0.0, decode_s=0.0,
    )  # fmt: skip
