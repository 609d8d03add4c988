"""From what a strategy sends to what travels: each model once, however many nodes get it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from flwr.app import ArrayRecord, Message, RecordDict

from fedretina.dom import DomConfig, Stream
from fedretina.dom.links import link_of
from fedretina.flower import header, records
from fedretina.flower.parcels import Parcel, plain
from fedretina.flower.shelf import Shelf, on_lattice
from fedretina.flower.weight import Way, weight, weight_of_message

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class Legs:
    """How models travel in one exchange, down and up (None: as they are), and whether errors are fed back."""

    down: DomConfig | None
    up: DomConfig | None
    uplink: header.Uplink
    back_down: bool = False
    back_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A content as it travels: its models, and the message's bytes as plain Flower's and as sent."""

    content: RecordDict
    parcels: tuple[Parcel, ...]
    raw_bytes: int
    wire_bytes: int

    def again(self) -> "Packed":
        """Give the same for another node: its models are not encoded again."""
        return replace(self, parcels=tuple(replace(parcel, encode_s=0.0) for parcel in self.parcels))


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A record's model on the shelf, and what else is told of it; `seconds` went into encoding it."""

    stream: Stream
    digest: str
    order: list[int]
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
    """

    def __init__(self, shelf: Shelf, moment: object) -> None:
        self._shelf, self._moment = shelf, moment
        self._made: dict[tuple[object, ...], object] = {}
        self._kept: list[object] = []  # so that nobody else gets an identity that is a key

    def pack(self, message: Message, legs: Legs) -> Packed:
        """Make what is sent instead of a message's content."""
        content, node = message.content, message.metadata.dst_node_id
        if legs.down is None:
            packed, _ = self._once(content, ("plain",), lambda: as_it_is(content, "down"))
            return packed
        placed: dict[str, _Placed] = {}
        for name, record in content.array_records.items():
            found, _ = self._once(record, (name,), partial(self._place, name, record, legs, node))
            if found is not None:
                placed[name] = found
        held = {name: self._shelf.holds(node, found.stream.name) for name, found in placed.items()}
        key = ("coded", legs.down, legs.up, *held.values())
        packed, new = self._once(content, key, lambda: self._pack(content, legs, placed, held))
        return packed if new else packed.again()

    def _once(self, what: object, key: tuple[object, ...], make: Callable[[], Made]) -> tuple[Made, bool]:
        """Make something of a content or record, or find it made; tells whether it is new."""
        key = (id(what), *key)
        new = key not in self._made
        if new:
            self._kept.append(what)
            self._made[key] = make()
        found: Made = self._made[key]  # type: ignore[assignment]  # what was made under this key
        return found, new

    def _place(self, name: str, record: ArrayRecord, legs: Legs, node: int) -> _Placed | None:
        assert legs.down is not None
        start = time.perf_counter()
        model = records.weights_of(record)
        if model is None:
            return None
        stream = self._shelf.place(name, model, config=legs.down, node=node, moment=self._moment, back=legs.back_down)
        assert stream.newest is not None
        seconds = time.perf_counter() - start
        return _Placed(
            stream=stream,
            digest=stream.newest.digest,
            order=records.order_of(record),
            raw_bytes=weight(record, "down"),
            seconds=seconds,
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
        down = header.Down(
            config=on_lattice(legs.up) if legs.up is not None and legs.uplink == "stream" else legs.up,
            uplink=legs.uplink,
            streams={name: parcels[name].stream for name in placed},
            bases={name: parcels[name].base for name in placed if parcels[name].base},
            digests={name: parcels[name].digest for name in placed},
            orders={name: found.order for name, found in placed.items()},
            have=self._shelf.have(),
            feedback=legs.back_up,
        )
        wire = records.replaced(content, packed)
        wire[header.NAME] = down.record()
        in_order = tuple(parcels[name] for name in content.array_records)
        return Packed(
            content=wire,
            parcels=in_order,
            raw_bytes=weight_of_message(content, "down"),
            wire_bytes=weight_of_message(wire, "down"),
        )

    def _way(self, name: str, placed: _Placed, held: str | None) -> tuple[ArrayRecord, Parcel]:
        """Find the payloads that lead a node from what it holds to the placed version."""
        start = time.perf_counter()
        way = placed.stream.way(held)
        packed = records.pack(way.payloads)
        base = link_of(0, way.payloads[0]).base if way.payloads else held
        parcel = Parcel(
            name=name,
            kind=way.kind,
            stream=placed.stream.name,
            version=placed.stream.number,
            base=base or "",
            digest=placed.digest,
            raw_bytes=placed.raw_bytes,
            wire_bytes=weight(packed, "down"),
            encode_s=placed.seconds + time.perf_counter() - start,
        )
        return packed, parcel


def as_it_is(content: RecordDict, way: Way) -> Packed:
    """Describe a content that travels uncoded."""
    size = weight_of_message(content, way)
    return Packed(content=content, parcels=plain(content, way), raw_bytes=size, wire_bytes=size)


def _without(content: RecordDict, names: Mapping[str, object]) -> RecordDict:
    return RecordDict({name: record for name, record in content.items() if name not in names})
