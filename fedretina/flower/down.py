"""From what a strategy sends to what travels: each model once, however many nodes get it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from flwr.app import ArrayRecord, Message, RecordDict

from fedretina.dom import DomConfig, Stream, publish
from fedretina.dom.links import link_of
from fedretina.flower import header, records
from fedretina.flower.lazy import source_of
from fedretina.flower.parcels import Parcel, plain
from fedretina.flower.precision import RecordRule, classify, exactly, find_model, find_rule, under_rule
from fedretina.flower.reply import LEAST_BYTES
from fedretina.flower.shelf import Shelf, on_lattice
from fedretina.flower.weight import Way, weight, weight_of_message

Made = TypeVar("Made")
MOST_OVERHEAD = 200  # bytes over plain Flower's message that are allowed where a node gets a version to build on


@dataclass(frozen=True, kw_only=True)
class Legs:
    """How models travel in one exchange, down and up (None: as they are), and whether errors are fed back."""

    down: DomConfig | None
    up: DomConfig | None
    uplink: header.Uplink
    back_down: bool = False
    back_up: bool = False
    rules: tuple[RecordRule, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A content as it travels: its models, and the message's bytes as plain Flower's and as sent.

    `versions` tells which version of which stream a node holds that has decoded the message.
    """

    content: RecordDict
    parcels: tuple[Parcel, ...]
    raw_bytes: int
    wire_bytes: int
    versions: Mapping[str, str] = field(default_factory=dict)

    def again(self) -> "Packed":
        """Give the same for another node: its models are not encoded again."""
        return replace(self, parcels=tuple(replace(parcel, encode_s=0.0) for parcel in self.parcels))


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A record that is coded: a version of a stream, or the payload of data that no stream keeps."""

    stream: Stream | None
    digest: str
    payload: bytes = b""
    order: tuple[int, ...] | None
    raw_bytes: int
    seconds: float


class Batch:
    """Packs the messages of one call; what several of them share is made once.

    Parameters
    ----------
    shelf : Shelf
        The streams.
    moment : object
        Tells which messages belong to one round; see `Shelf.place`.
    messages : sequence of Message
        The call's messages: a model that goes to several nodes is shared.
    """

    def __init__(self, shelf: Shelf, moment: object, messages: Sequence[Message] = ()) -> None:
        self._shelf, self._moment = shelf, moment
        self._made: dict[tuple[object, ...], object] = {}
        self._kept: list[object] = []  # so that nobody else gets an identity that is a key
        self._shared = _shared_names(messages)

    def pack(self, message: Message, legs: Legs) -> Packed:
        """Make what is sent instead of a message's content: payloads and a header, or the content where that is smaller."""
        content, metadata = message.content, message.metadata
        plain, _ = self._once(content, ("plain",), lambda: as_it_is(content, "down"))
        if legs.down is None:
            return plain
        placed: dict[str, _Placed] = {}
        main, message_type = find_model(content), metadata.message_type
        for name, record in content.array_records.items():
            place = partial(self._place, name, record, legs, metadata.dst_node_id, message_type, is_main=name == main)
            found, _ = self._once(record, (name, message_type, name == main), place)
            if found is not None:
                placed[name] = found
        publishes = legs.uplink == "stream" and legs.up is not None and message_type == "train"
        if not placed and not publishes:  # the node is told how to publish also where it receives no model
            return plain
        held = {name: self._held(metadata.dst_node_id, found) for name, found in placed.items()}
        key = ("coded", message_type, legs.down, legs.up, *held.values())
        packed, new = self._once(content, key, lambda: self._pack(content, legs, placed, held))
        opens = any(found.stream is not None for found in placed.values())
        if not publishes and packed.wire_bytes > plain.wire_bytes + (MOST_OVERHEAD if opens else 0):
            return plain
        return packed if new else packed.again()

    def _held(self, node: int, placed: _Placed) -> str | None:
        return None if placed.stream is None else self._shelf.holds(node, placed.stream.name)

    def _once(self, what: object, key: tuple[object, ...], make: Callable[[], Made]) -> tuple[Made, bool]:
        """Make something of a content or record, or find it made; tells whether it is new."""
        key = (id(what), *key)
        new = key not in self._made
        if new:
            self._kept.append(what)
            self._made[key] = make()
        found: Made = self._made[key]  # type: ignore[assignment]  # what was made under this key
        return found, new

    def _place(
        self, name: str, record: ArrayRecord, legs: Legs, node: int, message_type: str, *, is_main: bool
    ) -> _Placed | None:
        """Put a model into its stream, and code other data exactly; None for what travels as it is."""
        assert legs.down is not None
        start = time.perf_counter()
        raw_bytes = weight(record, "down")
        model = records.weights_of(record) if raw_bytes > LEAST_BYTES else None
        if model is None:
            return None
        rule = find_rule(legs.rules, name, message_type)
        kind = classify(rule, message_type, is_main=is_main)
        config = legs.down if rule is None else under_rule(legs.down, rule)
        stream, payload = None, b""
        source = source_of(record)
        relayed = source is not None and self._shelf.is_newest(source.digest)
        if kind != "data" or relayed or self._shelf.continues(name, model):
            stream = self._shelf.place(
                name,
                model,
                kind=kind,
                config=config,
                node=node,
                moment=self._moment,
                back=legs.back_down,
                shared=name in self._shared,
            )
            assert stream.newest is not None
            digest = stream.newest.digest
        else:
            published = publish(model, base=None, config=exactly(config))
            digest, payload = published.version.digest, published.payload
        return _Placed(
            stream=stream,
            digest=digest,
            payload=payload,
            order=records.order_of(record),
            raw_bytes=raw_bytes,
            seconds=time.perf_counter() - start,
        )

    def _pack(
        self, content: RecordDict, legs: Legs, placed: Mapping[str, _Placed], held: Mapping[str, str | None]
    ) -> Packed:
        packed: dict[str, ArrayRecord] = {}
        parcels = {parcel.name: parcel for parcel in plain(_without(content, placed), "down")}
        for name, found in placed.items():
            way = partial(self._way, name, found, held[name])
            (packed[name], parcel), new = self._once(found, (name, held[name]), way)
            parcels[name] = parcel if new else replace(parcel, encode_s=0.0)
        models = {
            name: header.SentModel(
                stream=parcels[name].stream if found.stream is not None else "",
                digest=found.digest,
                base=parcels[name].base,
                order=found.order,
            )
            for name, found in placed.items()
        }
        stream = legs.uplink == "stream"
        down = header.Down(
            config=on_lattice(legs.up) if legs.up is not None and stream else legs.up,
            uplink=legs.uplink,
            models=models,
            have=self._shelf.have() if stream else {},
            feedback=legs.back_up,
            rules=legs.rules,
        )
        wire = records.replaced(content, packed)
        wire[header.NAME] = down.record()
        in_order = tuple(parcels[name] for name in content.array_records)
        return Packed(
            content=wire,
            parcels=in_order,
            raw_bytes=weight_of_message(content, "down"),
            wire_bytes=weight_of_message(wire, "down"),
            versions={model.stream: model.digest for model in models.values() if model.stream},
        )

    def _way(self, name: str, placed: _Placed, held: str | None) -> tuple[ArrayRecord, Parcel]:
        """Find the payloads that lead a node from what it holds to the placed version."""
        start = time.perf_counter()
        if placed.stream is None:
            kind: str = "lossless"
            payloads: tuple[bytes, ...] = (placed.payload,)
        else:
            way = placed.stream.way(held)
            kind, payloads = way.kind, way.payloads
        packed = records.pack(payloads)
        base = link_of(0, payloads[0]).base if payloads else held
        parcel = Parcel(
            name=name,
            kind=kind,
            stream=placed.stream.name if placed.stream is not None else name,
            version=placed.stream.number if placed.stream is not None else 0,
            base=base or "",
            digest=placed.digest,
            raw_bytes=placed.raw_bytes,
            wire_bytes=weight(packed, "down"),
            encode_s=placed.seconds + time.perf_counter() - start,
        )
        return packed, parcel


def _shared_names(messages: Sequence[Message]) -> frozenset[str]:
    """Return the names of the records that go to several nodes with the same arrays."""
    by_name: dict[str, list[ArrayRecord]] = {}
    for message in messages:
        for name, record in message.content.array_records.items() if message.has_content() else ():
            by_name.setdefault(name, []).append(record)
    return frozenset(n for n, found in by_name.items() if len(found) > 1 and (found[0] is found[1] or found[0] == found[1]))


def as_it_is(content: RecordDict, way: Way) -> Packed:
    """Describe a content that travels uncoded."""
    size = weight_of_message(content, way)
    return Packed(content=content, parcels=plain(content, way), raw_bytes=size, wire_bytes=size)


def _without(content: RecordDict, names: Mapping[str, object]) -> RecordDict:
    return RecordDict({name: record for name, record in content.items() if name not in names})
