"""The models and bytes of one message, and its rows in the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flwr.app import RecordDict

from fedretina.flower.sizes import Direction, wire_size
from fedretina.ledger import Row


@dataclass(frozen=True, kw_only=True)
class RecordTraffic:
    """One model in one message.

    Parameters
    ----------
    name : str
        Name of the record.
    kind, stream, version, base, digest
        As in `fedretina.ledger.Row`.
    raw_bytes, wire_bytes : int
        Size of the record as plain Flower would send it, and as it is sent.
    encode_s : float
        Seconds spent on encoding.
    """

    name: str
    kind: str
    stream: str
    version: int = 0
    base: str = ""
    digest: str = ""
    raw_bytes: int
    wire_bytes: int
    encode_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MessageTraffic:
    """One message: its node, its direction, its models, and its bytes as plain Flower would send them and as sent."""

    round: int
    node: int
    domain: str
    direction: Direction
    raw_bytes: int
    wire_bytes: int
    records: Sequence[RecordTraffic] = field(default_factory=tuple)

    def rows(self, decode_s: Mapping[str, float], *, error: str = "") -> list[Row]:
        """Return the rows of the ledger, one for each model; the bytes around the models count in the first row.

        Parameters
        ----------
        decode_s : mapping of str to float
            Seconds by record name, measured at the receiver.
        error : str
            Why the message counts as failed.
        """
        records = self.records or (RecordTraffic(name="", kind="control", stream="", raw_bytes=0, wire_bytes=0),)
        rest_raw = self.raw_bytes - sum(record.raw_bytes for record in records)
        rest_wire = self.wire_bytes - sum(record.wire_bytes for record in records)
        return [
            Row(
                round=self.round,
                node=self.node,
                domain=self.domain,
                direction=self.direction,
                kind=record.kind,
                stream=record.stream,
                version=record.version,
                base=record.base,
                digest=record.digest,
                raw_bytes=record.raw_bytes + (rest_raw if i == 0 else 0),
                wire_bytes=record.wire_bytes + (rest_wire if i == 0 else 0),
                encode_s=record.encode_s,
                decode_s=decode_s.get(record.name, 0.0),
                error=error,
            )
            for i, record in enumerate(records)
        ]


def describe_plain(content: RecordDict, direction: Direction) -> tuple[RecordTraffic, ...]:
    """Return the models of a content that travels uncoded."""
    sizes = {name: wire_size(record, direction) for name, record in content.array_records.items()}
    return tuple(
        RecordTraffic(name=name, kind="raw", stream=name, raw_bytes=size, wire_bytes=size) for name, size in sizes.items()
    )
