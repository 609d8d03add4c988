"""From what a node answers to what the strategy sees."""

import time
from collections.abc import Mapping

from flwr.app import ArrayRecord, RecordDict

from fedretina.dom.versions.link import link_of
from fedretina.errors import Corrupt
from fedretina.flower import header, records
from fedretina.flower.down import Packed
from fedretina.flower.lazy import Held, Pool, Reply, lazy_record
from fedretina.flower.parcels import Parcel, plain
from fedretina.flower.shelf import Shelf
from fedretina.flower.weight import weight, weight_of_message, weight_of_model


class Unpacker:
    """Reads replies: each model is decoded once, to see that it is sound, and then kept as it came.

    Parameters
    ----------
    shelf : Shelf
        The versions that payloads build on, and the streams that nodes publish into.
    pool : Pool
        The decoded models that are kept for the aggregation, as far as they fit.
    """

    def __init__(self, shelf: Shelf, pool: Pool) -> None:
        self._shelf, self._pool = shelf, pool

    def unpack(self, content: RecordDict, up: header.Up, *, node: int) -> tuple[Packed, dict[str, float]]:
        """Make what the strategy sees of a reply's content; also seconds of decoding, by record name.

        Raises
        ------
        Corrupt, Truncated, TooNew, UnknownBase, Untrusted
            If a model cannot be believed.
        """
        models: dict[str, ArrayRecord] = {}
        parcels: dict[str, Parcel] = {}
        seconds: dict[str, float] = {}
        for name, told in up.models.items():
            start = time.perf_counter()
            models[name], parcels[name] = self._model(name, content, told, node)
            seconds[name] = time.perf_counter() - start
        self._shelf.acknowledge(node, dict(up.holds))
        rest, whole = header.without_header(content), weight_of_message(content, "up")
        raw = RecordDict({name: record for name, record in rest.items() if name not in models})
        parcels |= {parcel.name: parcel for parcel in plain(raw, "up")}
        of_header = weight(content[header.NAME], "up") + len(content.deflate()) - len(rest.deflate())
        saved = sum(parcels[name].raw_bytes - parcels[name].wire_bytes for name in models)
        packed = Packed(
            content=records.replaced(rest, models),
            parcels=tuple(parcels[name] for name in content.array_records),
            raw_bytes=whole - of_header + saved,
            wire_bytes=whole,
        )
        return packed, seconds

    def _model(self, name: str, content: RecordDict, told: header.ReturnedModel, node: int) -> tuple[ArrayRecord, Parcel]:
        packed, stream, base = _packed(content, name), told.stream, told.base
        payloads = records.unpack(packed)
        if len(payloads) != 1:
            raise Corrupt(f"a reply holds {len(payloads)} payloads for {name!r} instead of one")
        if stream:
            version = self._shelf.receive(stream, payloads[0], node=node)
            record = lazy_record(Held(version), version.model, records.in_order(version.model, told.order))
        else:
            version, held = self._shelf.one_shot(payloads[0], base)
            if base and not link_of(0, payloads[0]).lossless:
                self._shelf.note_trained(base)
            reply = Reply(payloads[0], version.digest, held, self._pool)
            record = lazy_record(reply, version.model, records.in_order(version.model, told.order))
            self._pool.put(reply, version.model)
        parcel = Parcel(
            name=name,
            kind="delta" if base else "keyframe" if stream else "lossless",
            stream=stream or name,
            version=self._shelf.stream(stream).number if stream else 0,
            base=base,
            digest=version.digest,
            raw_bytes=weight_of_model(version.model),
            wire_bytes=weight(packed, "up"),
            encode_s=told.encode_s,
        )
        return record, parcel


def _packed(content: RecordDict, name: str) -> ArrayRecord:
    records_: Mapping[str, ArrayRecord] = content.array_records
    if name not in records_:
        raise Corrupt(f"a reply's DoM header names a model {name!r} that is not there")
    return records_[name]
