"""What was put into a message, model by model, and the rows that it leaves in the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flwr.app import RecordDict

from fedretina.flower.weight import Way, weight
from fedretina.ledger import Row


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """One model in one message.

    Parameters
    ----------
    name : str
        Of the record.
    kind, stream, version, base, digest
        As in `fedretina.ledger.Row`.
    raw_bytes, wire_bytes : int
        What the record weighs as plain Flower would send it, and as it is sent.
    encode_s : float
        Seconds.
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
    direction: Way
    raw_bytes: int
    wire_bytes: int
    parcels: Sequence[Parcel] = field(default_factory=tuple)

    def rows(self, decode_s: Mapping[str, float], *, error: str = "") -> list[Row]:
        """Write the rows of the ledger; what is around the models counts on the first of them.

        Parameters
        ----------
        decode_s : mapping of str to float
            Seconds by record name, measured at the receiver.
        error : str
            Why the message counts as failed.
        """
        models = self.parcels or (Parcel(name="", kind="control", stream="", raw_bytes=0, wire_bytes=0),)
        rest_raw = self.raw_bytes - sum(p.raw_bytes for p in models)
        rest_wire = self.wire_bytes - sum(p.wire_bytes for p in models)
        return [
            Row(
                round=self.round,
                node=self.node,
                domain=self.domain,
                direction=self.direction,
                kind=p.kind,
                stream=p.stream,
                version=p.version,
                base=p.base,
                digest=p.digest,
                raw_bytes=p.raw_bytes + (rest_raw if i == 0 else 0),
                wire_bytes=p.wire_bytes + (rest_wire if i == 0 else 0),
                encode_s=p.encode_s,
                decode_s=decode_s.get(p.name, 0.0),
                error=error,
            )
            for i, p in enumerate(models)
        ]


def plain(content: RecordDict, way: Way) -> tuple[Parcel, ...]:
    """Describe the models of a content that travels as it is."""
    sizes = {name: weight(record, way) for name, record in content.array_records.items()}
    return tuple(Parcel(name=n, kind="raw", stream=n, raw_bytes=size, wire_bytes=size) for n, size in sizes.items())
