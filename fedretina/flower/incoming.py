"""From what a node answers to what the strategy sees."""

import time
from collections.abc import Mapping

from flwr.app import ArrayRecord, RecordDict

from fedretina.dom import link_of
from fedretina.errors import Corrupt
from fedretina.flower import header, records
from fedretina.flower.acknowledgements import Acknowledgements
from fedretina.flower.lazy import Held, Pool, Reply, lazy_record
from fedretina.flower.outgoing import PackedContent
from fedretina.flower.sizes import message_size, model_size, wire_size
from fedretina.flower.streams import StreamRegistry
from fedretina.flower.traffic import RecordTraffic, describe_plain


class Unpacker:
    """Reads replies: each model is decoded once, to see that it is sound, and then kept as it came.

    Parameters
    ----------
    streams : StreamRegistry
        The versions that payloads build on, and the streams that nodes publish into.
    acknowledgements : Acknowledgements
        What each node holds.
    pool : Pool
        The decoded models that are kept for the aggregation, as far as they fit.
    """

    def __init__(self, streams: StreamRegistry, acknowledgements: Acknowledgements, pool: Pool) -> None:
        self._streams, self._acknowledgements, self._pool = streams, acknowledgements, pool

    def unpack(self, content: RecordDict, up: header.Up, *, node: int) -> tuple[PackedContent, dict[str, float]]:
        """Make what the strategy sees of a reply's content; also seconds of decoding, by record name.

        Raises
        ------
        Corrupt, Truncated, TooNew, UnknownBase, Untrusted
            If a model cannot be believed.
        """
        models: dict[str, ArrayRecord] = {}
        traffic: dict[str, RecordTraffic] = {}
        seconds: dict[str, float] = {}
        for name, told in up.models.items():
            start = time.perf_counter()
            models[name], traffic[name] = self._model(name, content, told, node)
            seconds[name] = time.perf_counter() - start
        self._acknowledgements.add(node, up.holds)
        rest, whole = header.without_header(content), message_size(content, "up")
        raw = RecordDict({name: record for name, record in rest.items() if name not in models})
        traffic |= {parcel.name: parcel for parcel in describe_plain(raw, "up")}
        of_header = wire_size(content[header.NAME], "up") + len(content.deflate()) - len(rest.deflate())
        saved = sum(traffic[name].raw_bytes - traffic[name].wire_bytes for name in models)
        packed = PackedContent(
            content=records.replaced(rest, models),
            records=tuple(traffic[name] for name in content.array_records),
            raw_bytes=whole - of_header + saved,
            wire_bytes=whole,
        )
        return packed, seconds

    def _model(
        self, name: str, content: RecordDict, told: header.ReturnedModel, node: int
    ) -> tuple[ArrayRecord, RecordTraffic]:
        packed, stream, base = _packed(content, name), told.stream, told.base
        payloads = records.unpack(packed)
        if len(payloads) != 1:
            raise Corrupt(f"a reply holds {len(payloads)} payloads for {name!r} instead of one")
        if stream:
            version = self._streams.receive(stream, payloads[0], node=node)
            record = lazy_record(Held(version), version.model, records.in_order(version.model, told.order))
        else:
            version, held = self._streams.decode(payloads[0], base)
            if base and not link_of(0, payloads[0]).lossless:
                self._streams.note_trained(base)
            reply = Reply(payloads[0], version.digest, held, self._pool)
            record = lazy_record(reply, version.model, records.in_order(version.model, told.order))
            self._pool.put(reply, version.model)
        parcel = RecordTraffic(
            name=name,
            kind="delta" if base else "keyframe" if stream else "lossless",
            stream=stream or name,
            version=self._streams.open(stream).number if stream else 0,
            base=base,
            digest=version.digest,
            raw_bytes=model_size(version.model),
            wire_bytes=wire_size(packed, "up"),
            encode_s=told.encode_s,
        )
        return record, parcel


def _packed(content: RecordDict, name: str) -> ArrayRecord:
    records_: Mapping[str, ArrayRecord] = content.array_records
    if name not in records_:
        raise Corrupt(f"a reply's DoM header names a model {name!r} that is not there")
    return records_[name]
