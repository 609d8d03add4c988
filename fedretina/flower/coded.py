"""Records of a message to a node in coded form: versions of streams, sealed or not, and data that no stream keeps."""

import time
from dataclasses import dataclass, field, replace

from flwr.app import ArrayRecord

from fedretina.dom import Stream, link_of
from fedretina.flower import header, records
from fedretina.flower.contents import RecordCopy
from fedretina.flower.sealed import SealedRoute
from fedretina.flower.server_trust import ServerTrust
from fedretina.flower.sizes import wire_size
from fedretina.flower.traffic import RecordTraffic


@dataclass(eq=False)
class CodedRecord:
    """A record's model as a version of a stream, or as the payload of data that no stream keeps.

    Parameters
    ----------
    stream : Stream or None
        The stream; None for data, and for a sealed stream.
    digest : str
        Digest of the version.
    payload : bytes
        The payload of data; empty for a version of a stream.
    order : tuple of int or None
        See `fedretina.flower.records.order_of`.
    raw_bytes : int
        Size as plain Flower would send it.
    has_rule : bool
        Whether a `RecordRule` says how precise it is.
    encode_s : float
        Seconds spent on encoding.
    routes : dict
        What was sent already, by the digest of the version that the receiver held.
    sealed : SealedRoute or None
        What one node gets of a sealed stream.
    """

    stream: Stream | None
    digest: str
    payload: bytes
    order: tuple[int, ...] | None
    raw_bytes: int
    has_rule: bool = False
    encode_s: float = 0.0
    routes: dict[str | None, tuple[ArrayRecord, RecordTraffic]] = field(default_factory=dict)
    sealed: SealedRoute | None = None

    @property
    def stream_name(self) -> str:
        """Name of the stream; "" for data."""
        if self.sealed is not None:
            return self.sealed.stream
        return "" if self.stream is None else self.stream.name


def newest_of(stream: Stream, record: RecordCopy) -> CodedRecord:
    """Return the newest version of a stream, which a record is."""
    assert stream.log.newest is not None
    return CodedRecord(stream, stream.log.newest, b"", records.order_of(record.record), record.plain_bytes)


def header_entry(coded: CodedRecord, traffic: RecordTraffic) -> header.SentModel:
    """Return what the header says of a record."""
    return header.SentModel(stream=coded.stream_name, digest=coded.digest, base=traffic.base, order=coded.order)


def statement_of(trust: ServerTrust, name: str, coded: CodedRecord) -> bytes:
    """Return the signed statement of what a record became."""
    if coded.sealed is not None:
        return coded.sealed.version.statement
    if coded.stream is None:
        return trust.data_statement(name, coded.payload, coded.digest, coded.raw_bytes)
    return trust.stream_statement(coded.stream, coded.digest)


def sealed_version(name: str, raw_bytes: int, route: SealedRoute, holds: str | None) -> CodedRecord:
    """Return what one node gets of a sealed stream; its route is known already.

    Parameters
    ----------
    name : str
        The record's name.
    raw_bytes : int
        Size as plain Flower would send it.
    route : SealedRoute
        The version and its payloads.
    holds : str or None
        Digest of the version that the node holds.
    """
    packed = records.pack([link.payload for link in route.path])
    traffic = RecordTraffic(
        name=name,
        kind=route.kind,
        stream=route.stream,
        version=route.version.number,
        base=(route.path[0].base if route.path else holds) or "",
        digest=route.version.digest,
        raw_bytes=raw_bytes,
        wire_bytes=wire_size(packed, "down"),
    )
    coded = CodedRecord(None, route.version.digest, b"", route.version.order, raw_bytes, sealed=route)
    coded.routes[None] = packed, traffic
    return coded


def route_of(name: str, coded: CodedRecord, held: str | None) -> tuple[ArrayRecord, RecordTraffic]:
    """Return the payloads that lead a node from the version that it holds to the model; made once for each such version."""
    if held in coded.routes:
        packed, traffic = coded.routes[held]
        return packed, replace(traffic, encode_s=0.0)
    start = time.perf_counter()
    kind, payloads = _payloads(coded, held)
    packed = records.pack(payloads)
    base = link_of(0, payloads[0]).base if payloads else held
    traffic = RecordTraffic(
        name=name,
        kind=kind,
        stream=coded.stream.name if coded.stream is not None else name,
        version=coded.stream.number if coded.stream is not None else 0,
        base=base or "",
        digest=coded.digest,
        raw_bytes=coded.raw_bytes,
        wire_bytes=wire_size(packed, "down"),
        encode_s=coded.encode_s + time.perf_counter() - start,
    )
    coded.routes[held] = packed, traffic
    return packed, traffic


def _payloads(coded: CodedRecord, held: str | None) -> tuple[str, tuple[bytes, ...]]:
    if coded.stream is None:
        return "lossless", (coded.payload,)
    route = coded.stream.route(held)
    return route.kind, route.payloads
