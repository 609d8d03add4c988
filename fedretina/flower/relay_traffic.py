"""Rows of the ledger for messages with relayed payloads, made from the messages alone."""

from collections.abc import Mapping

from flwr.app import RecordDict

from fedretina.dom import link_of
from fedretina.flower import records
from fedretina.flower.payload_relay import newest_digests
from fedretina.flower.sizes import Direction, message_size, wire_size
from fedretina.flower.traffic import MessageTraffic, RecordTraffic
from fedretina.ledger import Row


def relay_rows(
    content: RecordDict,
    direction: Direction,
    *,
    round_number: int,
    node: int,
    domain: str,
    versions: Mapping[str, int],
    raw_bytes: Mapping[str, int],
    encode_s: float = 0.0,
    error: str = "",
) -> list[Row]:
    """Return the rows of a message of `PayloadRelay` and `RelayedModels`: one for each stream, or one of kind "control".

    Parameters
    ----------
    content : RecordDict
        The message's content.
    direction : {"down", "up"}
        From the server or to it.
    round_number, node, domain, error
        As in `fedretina.ledger.Row`.
    versions : mapping of str to int
        By stream, the number of the version that the message leads to.
    raw_bytes : mapping of str to int
        By stream, the bytes of the model's tensors: what plain Flower would send.
    encode_s : float, default 0
        Seconds that the node spent on encoding; they are in a reply's row only.

    Raises
    ------
    Corrupt, Truncated, TooNew
        If a payload's envelope cannot be read.

    Examples
    --------
    >>> rows = relay_rows(RecordDict(), "up", round_number=1, node=7, domain="mill", versions={}, raw_bytes={})
    >>> [(row.kind, row.wire_bytes > 0) for row in rows]
    [('control', True)]
    """
    newest = newest_digests(content)
    found = []
    for stream, record in content.array_records.items():
        links = [link_of(0, payload) for payload in records.unpack(record)]
        kind = "none" if not links else "keyframe" if links[0].is_keyframe else "delta" if len(links) == 1 else "chain"
        found.append(
            RecordTraffic(
                name=stream,
                kind=kind,
                stream=stream,
                version=versions.get(stream, 0),
                base=(links[0].base or "") if links else "",
                digest=links[-1].digest if links else newest.get(stream, ""),
                raw_bytes=raw_bytes.get(stream, 0),
                wire_bytes=wire_size(record, direction),
                encode_s=encode_s if direction == "up" else 0.0,
            )
        )
    size = message_size(content, direction)
    raw = size - sum(record.wire_bytes for record in found) + sum(record.raw_bytes for record in found)
    message = MessageTraffic(
        round=round_number,
        node=node,
        domain=domain,
        direction=direction,
        raw_bytes=raw,
        wire_bytes=size,
        records=tuple(found),
    )
    return message.rows({}, error=error)
