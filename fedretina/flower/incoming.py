"""Replies as the strategy sees them: payloads become records that are decoded when somebody reads them."""

import time
from dataclasses import dataclass

from flwr.app import ArrayRecord, RecordDict

from fedretina.dom import link_of
from fedretina.errors import Corrupt
from fedretina.flower import header, records
from fedretina.flower.acknowledgements import Acknowledgements
from fedretina.flower.lazy import lazy_record
from fedretina.flower.outgoing import PackedContent
from fedretina.flower.relay import SealedRelay
from fedretina.flower.server_trust import ServerTrust
from fedretina.flower.sizes import message_size, model_size, undecoded_size, wire_size
from fedretina.flower.sources import ModelCache, ReplySource, StreamSource
from fedretina.flower.streams import StreamRegistry
from fedretina.flower.traffic import RecordTraffic, describe_plain
from fedretina.flower.trust import check_signed


@dataclass(frozen=True)
class _Payload:
    """One payload of a reply, and what the header says of it."""

    name: str
    record: ArrayRecord
    payload: bytes
    info: header.ReturnedModel


class ReplyUnpacker:
    """Reads replies.

    A model that the strategy aggregates is decoded once, to see that it is sound; then its payload is kept. A version of a
    node's own stream is checked as far as that is possible without decoding, and decoded when somebody reads it.

    Parameters
    ----------
    streams : StreamRegistry
        The versions that payloads build on, and the streams that nodes publish into.
    acknowledgements : Acknowledgements
        What each node holds.
    cache : ModelCache
        Keeps decoded models for the aggregation, as far as they fit.
    trust : ServerTrust or None, default None
        Checks signatures.
    sealed : SealedRelay or None, default None
        Keeps the versions of nodes' streams, which are sealed then.
    """

    def __init__(
        self,
        streams: StreamRegistry,
        acknowledgements: Acknowledgements,
        cache: ModelCache,
        trust: ServerTrust | None = None,
        sealed: SealedRelay | None = None,
    ) -> None:
        self._streams, self._acknowledgements, self._cache = streams, acknowledgements, cache
        self._trust, self._sealed = trust, sealed

    def unpack(self, content: RecordDict, up: header.UpHeader, *, node: int) -> tuple[PackedContent, dict[str, float]]:
        """Return a reply's content as the strategy sees it, and the seconds spent on each model, by record name.

        Raises
        ------
        Corrupt, Truncated, TooNew, UnknownBase, Untrusted
            If a model cannot be believed.
        """
        models: dict[str, ArrayRecord] = {}
        traffic: dict[str, RecordTraffic] = {}
        seconds: dict[str, float] = {}
        if self._trust is not None:
            check_signed(content, up.models)
        for name, info in up.models.items():
            start = time.perf_counter()
            sent = _read_payload(content, name, info)
            models[name], traffic[name] = self._unpack_model(sent, up, node)
            seconds[name] = time.perf_counter() - start
        self._acknowledgements.add(node, up.held)
        without_header, wire_bytes = header.without_header(content), message_size(content, "up")
        uncoded = RecordDict({name: record for name, record in without_header.items() if name not in models})
        traffic |= {record.name: record for record in describe_plain(uncoded, "up")}
        header_bytes = wire_size(content[header.NAME], "up") + len(content.deflate()) - len(without_header.deflate())
        saved_bytes = sum(traffic[name].raw_bytes - traffic[name].wire_bytes for name in models)
        packed = PackedContent(
            content=records.replace_records(without_header, models),
            records=tuple(traffic[name] for name in content.array_records),
            raw_bytes=wire_bytes - header_bytes + saved_bytes,
            wire_bytes=wire_bytes,
        )
        return packed, seconds

    def _check_signature(self, sent: _Payload, up: header.UpHeader) -> None:
        if self._trust is not None:
            statement = None if up.trust is None else up.trust.statements.get(sent.name)
            digest = link_of(0, sent.payload).digest
            self._trust.check_reply(sent.name, sent.info.stream, digest, sent.payload, statement)

    def _unpack_model(self, sent: _Payload, up: header.UpHeader, node: int) -> tuple[ArrayRecord, RecordTraffic]:
        if self._sealed is not None and sent.info.stream:
            return _keep_sealed(self._sealed, sent, up, node)
        self._check_signature(sent, up)
        return self._relay(sent, node) if sent.info.stream else self._decode(sent)

    def _relay(self, sent: _Payload, node: int) -> tuple[ArrayRecord, RecordTraffic]:
        """Add a payload to the node's own stream."""
        stream = self._streams.receive(sent.info.stream, sent.payload, node=node)
        digest = stream.log.newest
        assert digest is not None
        names = records.names_in_order(stream.tensors, sent.info.order)
        record = lazy_record(StreamSource(stream, digest, self._cache), stream.tensors, names)
        traffic = _describe(
            sent,
            kind="delta" if sent.info.base else "keyframe",
            version=stream.number,
            digest=digest,
            raw_bytes=undecoded_size(stream.tensors, "up"),
        )
        return record, traffic

    def _decode(self, sent: _Payload) -> tuple[ArrayRecord, RecordTraffic]:
        """Decode a payload that belongs to no stream, and keep it for the aggregation."""
        version, base = self._streams.decode(sent.payload, sent.info.base)
        if sent.info.base and not link_of(0, sent.payload).lossless:
            self._streams.mark_trained(sent.info.base)
        source = ReplySource(sent.payload, version.digest, base, self._cache)
        record = lazy_record(source, version.model, records.names_in_order(version.model, sent.info.order))
        self._cache.put(source, version.model)
        kind = "delta" if sent.info.base else "lossless"
        return record, _describe(sent, kind=kind, version=0, digest=version.digest, raw_bytes=model_size(version.model))


def _keep_sealed(sealed: SealedRelay, sent: _Payload, up: header.UpHeader, node: int) -> tuple[ArrayRecord, RecordTraffic]:
    """Keep a sealed version of the node's own stream; the strategy gets a record that stands for it."""
    info, statement, seal = sent.info, None, None
    if up.trust is not None:
        statement, seal = up.trust.statements.get(sent.name), up.trust.seals.get(sent.name)
    link = sealed.receive(sent.payload, info, statement=statement, seal=seal, node=node)
    kind = "delta" if info.base else "keyframe"
    traffic = _describe(sent, kind=kind, version=link.number, digest=link.digest, raw_bytes=link.plain[1])
    return sealed.model(info.stream), traffic


def _describe(sent: _Payload, *, kind: str, version: int, digest: str, raw_bytes: int) -> RecordTraffic:
    return RecordTraffic(
        name=sent.name,
        kind=kind,
        stream=sent.info.stream or sent.name,
        version=version,
        base=sent.info.base,
        digest=digest,
        raw_bytes=raw_bytes,
        wire_bytes=wire_size(sent.record, "up"),
        encode_s=sent.info.encode_s,
    )


def _read_payload(content: RecordDict, name: str, info: header.ReturnedModel) -> _Payload:
    if name not in content.array_records:
        raise Corrupt(f"the reply's DoM header names a model {name!r}, but there is no such record; the reply is dropped")
    record: ArrayRecord = content.array_records[name]
    payloads = records.unpack(record)
    if len(payloads) != 1:
        raise Corrupt(f"the reply holds {len(payloads)} payloads for model {name!r}, allowed is one; the reply is dropped")
    return _Payload(name, record, payloads[0], info)
