"""From what a strategy sends to what travels. A model that several messages share is coded once."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from flwr.app import ArrayRecord, Message, RecordDict

from fedretina.dom import Model, Stream, link_of, publish
from fedretina.flower import header, records
from fedretina.flower.acknowledgements import Acknowledgements
from fedretina.flower.lazy import source_of
from fedretina.flower.precision import classify, exactly, find_model, find_rule, under_rule
from fedretina.flower.reply import LEAST_BYTES
from fedretina.flower.sizes import Direction, message_size, wire_size
from fedretina.flower.streams import NewModel, StreamRegistry, on_lattice
from fedretina.flower.traffic import RecordTraffic, describe_plain
from fedretina.flower.transfers import ExchangeOptions

MOST_OVERHEAD = 200  # bytes over plain Flower's message that are allowed where a node gets a version to build on


@dataclass(frozen=True, kw_only=True)
class PackedContent:
    """A content as it travels: its models, and the message's bytes as plain Flower's and as sent.

    `versions` tells which version of which stream a node holds that has decoded the message.
    """

    content: RecordDict
    records: tuple[RecordTraffic, ...]
    raw_bytes: int
    wire_bytes: int
    versions: Mapping[str, str] = field(default_factory=dict)

    def for_another_node(self) -> "PackedContent":
        """Return the same without times: its models are not encoded once more."""
        return replace(self, records=tuple(replace(record, encode_s=0.0) for record in self.records))


@dataclass(eq=False)
class CodedRecord:
    """A record's model as a version of a stream, or as the payload of data that no stream keeps.

    `routes` has what was sent already, by the version that the receiver held.
    """

    stream: Stream | None
    digest: str
    payload: bytes
    order: tuple[int, ...] | None
    raw_bytes: int
    seconds: float
    routes: dict[str | None, tuple[ArrayRecord, RecordTraffic]] = field(default_factory=dict)


@dataclass(eq=False)
class OutgoingRecord:
    """An ArrayRecord of one call to `push_messages`. `shared`: whether several nodes get the same arrays."""

    source: ArrayRecord
    shared: bool = False
    coded: dict[tuple[str, bool], CodedRecord | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.record = self.source.copy()  # the caller may change his own after the push

    @cached_property
    def size(self) -> int:
        """What it takes as plain Flower's, in bytes."""
        return wire_size(self.record, "down")

    @cached_property
    def model(self) -> Model | None:
        """Its arrays; None where it travels as it is."""
        return records.read_model(self.record) if self.size > LEAST_BYTES else None


@dataclass(eq=False)
class OutgoingContent:
    """A content of one call to `push_messages`; what was made of it already is in `packed`."""

    source: RecordDict
    arrays: dict[str, OutgoingRecord]
    packed: dict[tuple[object, ...], PackedContent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        others = {name: record.copy() for name, record in self.source.items() if name not in self.arrays}
        self.content = RecordDict(
            {name: self.arrays[name].record if name in self.arrays else others[name] for name in self.source}
        )

    @cached_property
    def plain(self) -> PackedContent:
        """The content as plain Flower sends it."""
        return pack_plain(self.content, "down")


def collect(messages: Sequence[Message]) -> list[OutgoingContent]:
    """Copy the contents of one call's messages.

    Messages that follow each other and share a content, or a record, share its copy.
    """
    contents: list[OutgoingContent] = []
    for message in messages:
        before = contents[-1] if contents else None
        if before is None or before.source is not message.content:
            known = before.arrays if before is not None else {}
            arrays = {name: _reuse(known.get(name), record) for name, record in message.content.array_records.items()}
            contents.append(OutgoingContent(message.content, arrays))
        else:
            contents.append(before)
    _mark_shared(contents)
    return contents


def _reuse(known: OutgoingRecord | None, record: ArrayRecord) -> OutgoingRecord:
    return known if known is not None and known.source is record else OutgoingRecord(record)


def _mark_shared(contents: Sequence[OutgoingContent]) -> None:
    """Mark the records that go to several nodes: the same object, or the same arrays."""
    by_name: dict[str, list[OutgoingRecord]] = {}
    for content in contents:
        for name, record in content.arrays.items():
            by_name.setdefault(name, []).append(record)
    for found in by_name.values():
        if len(found) > 1 and (found[0] is found[1] or found[0].record == found[1].record):
            for record in found:
                record.shared = True


@dataclass(frozen=True)
class Recipient:
    """Who gets a message, of which type, and how models travel in this exchange."""

    node: int
    message_type: str
    options: ExchangeOptions


@dataclass
class MessagePacker:
    """Packs the messages of one call.

    Parameters
    ----------
    streams : StreamRegistry
        Where models are published.
    acknowledgements : Acknowledgements
        What each node holds.
    round_key : object
        Equal for messages of one round.
    """

    streams: StreamRegistry
    acknowledgements: Acknowledgements
    round_key: object

    def pack(self, content: OutgoingContent, to: Recipient) -> PackedContent:
        """Return what is sent instead of a content: payloads and a header, or the content where that is smaller."""
        options = to.options
        if options.down is None:
            return content.plain
        main = find_model(content.content)
        found = {name: self._code(name, record, to, is_main=name == main) for name, record in content.arrays.items()}
        coded = {name: one for name, one in found.items() if one is not None}
        publishes = options.uplink == "stream" and options.up is not None and to.message_type == "train"
        if not coded and not publishes:  # the node is told how to publish also where it receives no model
            return content.plain
        held = {name: self._held(to.node, one) for name, one in coded.items()}
        key = (to.message_type, options.down, options.up, *held.values())
        if key in content.packed:
            packed = content.packed[key].for_another_node()
        else:
            packed = content.packed[key] = self._pack(content.content, options, coded, held)
        allowed = MOST_OVERHEAD if any(one.stream is not None for one in coded.values()) else 0
        return packed if publishes or packed.wire_bytes <= content.plain.wire_bytes + allowed else content.plain

    def _held(self, node: int, coded: CodedRecord) -> str | None:
        return None if coded.stream is None else self.acknowledgements.version(node, coded.stream.name)

    def _code(self, name: str, record: OutgoingRecord, to: Recipient, *, is_main: bool) -> CodedRecord | None:
        """Code a record, or return what it was coded to for another node; None for what travels as it is."""
        key = (to.message_type, is_main)
        if key not in record.coded:
            start = time.perf_counter()
            coded = None
            if record.model is not None:
                coded = self._code_model(name, record, record.model, to, is_main=is_main)
                coded.seconds = time.perf_counter() - start
            record.coded[key] = coded
        return record.coded[key]

    def _code_model(self, name: str, record: OutgoingRecord, model: Model, to: Recipient, *, is_main: bool) -> CodedRecord:
        """Put a model into its stream, and code other data exactly."""
        options = to.options
        assert options.down is not None
        rule = find_rule(options.rules, name, to.message_type)
        kind = classify(rule, to.message_type, is_main=is_main)
        config = options.down if rule is None else under_rule(options.down, rule)
        order = records.order_of(record.record)
        source = source_of(record.record)
        relayed = source is not None and self.streams.is_newest(source.digest)
        if kind == "data" and not relayed and not self.streams.continues(name, model):
            published = publish(model, base=None, config=exactly(config))
            return CodedRecord(None, published.version.digest, published.payload, order, record.size, 0.0)
        new = NewModel(
            name=name,
            model=model,
            node=to.node,
            round_key=self.round_key,
            kind=kind,
            shared=record.shared,
            feedback=options.feedback_down,
        )
        stream = self.streams.publish(new, config)
        assert stream.newest is not None
        return CodedRecord(stream, stream.newest.digest, b"", order, record.size, 0.0)

    def _pack(
        self,
        content: RecordDict,
        options: ExchangeOptions,
        coded: Mapping[str, CodedRecord],
        held: Mapping[str, str | None],
    ) -> PackedContent:
        others = RecordDict({name: record for name, record in content.items() if name not in coded})
        traffic = {record.name: record for record in describe_plain(others, "down")}
        packed: dict[str, ArrayRecord] = {}
        for name, one in coded.items():
            packed[name], traffic[name] = _route(name, one, held[name])
        models = {name: _header_of(one, traffic[name]) for name, one in coded.items()}
        publishes = options.uplink == "stream"
        down = header.Down(
            config=on_lattice(options.up) if options.up is not None and publishes else options.up,
            uplink=options.uplink,
            models=models,
            server_versions=self.streams.published_by_nodes() if publishes else {},
            feedback=options.feedback_up,
            rules=options.rules,
        )
        wire = records.replaced(content, packed)
        wire[header.NAME] = down.record()
        return PackedContent(
            content=wire,
            records=tuple(traffic[name] for name in content.array_records),
            raw_bytes=message_size(content, "down"),
            wire_bytes=message_size(wire, "down"),
            versions={model.stream: model.digest for model in models.values() if model.stream},
        )


def pack_plain(content: RecordDict, direction: Direction) -> PackedContent:
    """Describe a content that travels uncoded."""
    size = message_size(content, direction)
    return PackedContent(content=content, records=describe_plain(content, direction), raw_bytes=size, wire_bytes=size)


def _header_of(coded: CodedRecord, traffic: RecordTraffic) -> header.SentModel:
    stream = coded.stream.name if coded.stream is not None else ""
    return header.SentModel(stream=stream, digest=coded.digest, base=traffic.base, order=coded.order)


def _route(name: str, coded: CodedRecord, held: str | None) -> tuple[ArrayRecord, RecordTraffic]:
    """Return the payloads that lead a node from what it holds to the model; made once for each version that is held."""
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
        encode_s=coded.seconds + time.perf_counter() - start,
    )
    coded.routes[held] = packed, traffic
    return packed, traffic


def _payloads(coded: CodedRecord, held: str | None) -> tuple[str, tuple[bytes, ...]]:
    if coded.stream is None:
        return "lossless", (coded.payload,)
    route = coded.stream.route(held)
    return route.kind, route.payloads
