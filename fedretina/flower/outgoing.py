"""Messages as they travel to nodes: models become payloads. A model that several messages share is coded once."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flwr.app import ArrayRecord, RecordDict

from fedretina.dom import Model, Stream, publish
from fedretina.flower import header, records
from fedretina.flower.acknowledgements import Acknowledgements
from fedretina.flower.coded import CodedRecord, header_entry, newest_of, route_of, sealed_version, statement_of
from fedretina.flower.contents import ContentCopy, RecordCopy
from fedretina.flower.hints import PrecisionHints
from fedretina.flower.precision import MODEL_TYPES, classify, find_model_name, find_rule, rule_config
from fedretina.flower.relay import SealedRelay
from fedretina.flower.reply import MIN_CODED_BYTES
from fedretina.flower.sealed import SealedSource
from fedretina.flower.server_trust import ServerTrust
from fedretina.flower.sizes import Direction, message_size
from fedretina.flower.streams import NewModel, StreamRegistry, stream_config
from fedretina.flower.traffic import RecordTraffic, describe_plain
from fedretina.flower.transfers import ExchangeOptions
from fedretina.flower.trust import DownTrust

MAX_OVERHEAD_BYTES = 200
"""How much larger than plain Flower's a message may be if it gives a node a version that later messages build on."""


@dataclass(frozen=True, kw_only=True)
class PackedContent:
    """A content as it travels.

    Parameters
    ----------
    content : RecordDict
        What is sent.
    records : tuple of RecordTraffic
        Its models.
    raw_bytes, wire_bytes : int
        Size of the message as plain Flower would send it, and as it is sent.
    versions : mapping of str to str
        By stream: digest of the version that a node holds once it has decoded the message.
    """

    content: RecordDict
    records: tuple[RecordTraffic, ...]
    raw_bytes: int
    wire_bytes: int
    versions: Mapping[str, str] = field(default_factory=dict)

    def without_times(self) -> "PackedContent":
        """Return the same for another node: its models were encoded once, and that time counts once."""
        return replace(self, records=tuple(replace(record, encode_s=0.0) for record in self.records))


@dataclass(frozen=True)
class Recipient:
    """The node that gets a message, the message's type, and how models travel in this exchange."""

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
    hints : PrecisionHints
        Logs where a rule may be missing.
    trust : ServerTrust or None, default None
        Signs what is sent. Every record is coded then.
    sealed : SealedRelay or None, default None
        The sealed streams.
    """

    streams: StreamRegistry
    acknowledgements: Acknowledgements
    round_key: object
    hints: PrecisionHints
    trust: ServerTrust | None = None
    sealed: SealedRelay | None = None
    _coded: dict[tuple[RecordCopy, str, bool], CodedRecord | None] = field(default_factory=dict)
    _packed: dict[tuple[object, ...], PackedContent] = field(default_factory=dict)
    _plain: dict[ContentCopy, PackedContent] = field(default_factory=dict)

    def pack(self, content: ContentCopy, to: Recipient) -> PackedContent:
        """Return what is sent instead of a content: payloads and a header, or the content itself if that is smaller.

        Raises
        ------
        Corrupt
            If a version that was only relayed so far had to be decoded, and is corrupt; its stream has discarded it.
        """
        options = to.options
        if options.down is None:
            return self._pack_plain(content)
        model_name = find_model_name(content.content)
        found = {name: self._code(name, record, to, is_main=name == model_name) for name, record in content.arrays.items()}
        coded = {name: record for name, record in found.items() if record is not None}
        if model_name is None and to.message_type in MODEL_TYPES:
            self.hints.check_exact(name for name, record in coded.items() if not record.stream_name and not record.has_rule)
        publishes = options.uplink == "stream" and options.up is not None and to.message_type == "train"
        if not coded and not publishes and self.trust is None:  # a node is told how to publish even if it receives no model
            return self._pack_plain(content)
        packed = self._pack_once(content, to, coded)
        allowed = MAX_OVERHEAD_BYTES if any(record.stream is not None for record in coded.values()) else 0
        smaller = publishes or self.trust is not None or packed.wire_bytes <= content.plain_bytes + allowed
        return packed if smaller else self._pack_plain(content)

    def _pack_plain(self, content: ContentCopy) -> PackedContent:
        if content not in self._plain:
            self._plain[content] = pack_plain(content.content, "down")
        return self._plain[content]

    def _code(self, name: str, record: RecordCopy, to: Recipient, *, is_main: bool) -> CodedRecord | None:
        """Code a record, or return what it was coded to for another node; None for a record that travels as it is."""
        if self.sealed is not None and isinstance(record.source, SealedSource):
            holds = self.acknowledgements.version(to.node, record.source.stream.name)
            return sealed_version(name, record.plain_bytes, self.sealed.route(record.source, to.node, holds), holds)
        key = (record, to.message_type, is_main)
        if key not in self._coded:
            start = time.perf_counter()
            coded = (
                self._code_record(name, record, to, is_main=is_main)
                if self.trust or record.plain_bytes > MIN_CODED_BYTES
                else None
            )
            if coded is not None:
                coded.encode_s = time.perf_counter() - start
            self._coded[key] = coded
        return self._coded[key]

    def _code_record(self, name: str, record: RecordCopy, to: Recipient, *, is_main: bool) -> CodedRecord | None:
        stream = self._find_relayed(name, record)
        if stream is not None:
            return newest_of(stream, record)
        model = record.model
        return None if model is None else self._code_model(name, record, model, to, is_main=is_main)

    def _find_relayed(self, name: str, record: RecordCopy) -> Stream | None:
        """Return the stream whose newest version a record is: it is relayed, and nothing is read."""
        stream = None if record.source is None else self.streams.find_newest(record.source.digest, preferred=name)
        return stream if stream is not None and stream.tensors.keys() == record.record.keys() else None

    def _code_model(self, name: str, record: RecordCopy, model: Model, to: Recipient, *, is_main: bool) -> CodedRecord:
        """Publish a model in its stream; code other data exactly."""
        options = to.options
        assert options.down is not None
        rule = find_rule(options.rules, name, to.message_type)
        kind = classify(rule, to.message_type, is_main=is_main)
        config = options.down if rule is None else rule_config(options.down, rule)
        if kind == "data" and not self.streams.continues(name, model):
            made = publish(model, base=None, config=config.exact)
            order = records.order_of(record.record)
            return CodedRecord(None, made.version.digest, made.payload, order, record.plain_bytes, rule is not None)
        if rule is None and not config.lossless:
            self.hints.check_lossy(name, model)
        new = NewModel(
            name=name,
            model=model,
            node=to.node,
            round_key=self.round_key,
            kind=kind,
            shared=record.shared,
            feedback=options.feedback_down,
        )
        return newest_of(self.streams.publish(new, config), record)

    def _pack_once(self, content: ContentCopy, to: Recipient, coded: Mapping[str, CodedRecord]) -> PackedContent:
        """Pack a content, or return what it was packed to for another node that holds the same versions."""
        held = {name: self._held(to.node, record) for name, record in coded.items()}
        root = self.trust.root_of(to.node) if self.trust else None
        own = to.node if self.sealed is not None else None  # a node gets its own stanzas, and its streams' recipients
        key = (content, to.message_type, to.options.down, to.options.up, root, own, *held.values())
        if key in self._packed:
            return self._packed[key].without_times()
        self._packed[key] = packed = self._pack(content, to, coded, held)
        return packed

    def _held(self, node: int, coded: CodedRecord) -> str | None:
        return None if coded.stream is None else self.acknowledgements.version(node, coded.stream.name)

    def _pack(
        self,
        content: ContentCopy,
        to: Recipient,
        coded: Mapping[str, CodedRecord],
        held: Mapping[str, str | None],
    ) -> PackedContent:
        uncoded = RecordDict({name: record for name, record in content.content.items() if name not in coded})
        traffic = {record.name: record for record in describe_plain(uncoded, "down")}
        payloads: dict[str, ArrayRecord] = {}
        for name, record in coded.items():
            payloads[name], traffic[name] = route_of(name, record, held[name])
        models = {name: header_entry(record, traffic[name]) for name, record in coded.items()}
        wire = records.replace_records(content.content, payloads)
        wire[header.NAME] = self._header(to, models, self._sign(to, coded)).to_record()
        return PackedContent(
            content=wire,
            records=tuple(traffic[name] for name in content.content.array_records),
            raw_bytes=content.plain_bytes,
            wire_bytes=message_size(wire, "down"),
            versions={model.stream: model.digest for model in models.values() if model.stream},
        )

    def _sign(self, to: Recipient, coded: Mapping[str, CodedRecord]) -> DownTrust | None:
        if self.trust is None:
            return None
        statements = {name: statement_of(self.trust, name, record) for name, record in coded.items()}
        versions = {name: record.digest for name, record in coded.items() if record.stream_name}
        seals = {name: record.sealed.seal for name, record in coded.items() if record.sealed is not None}
        recipients = None if self.sealed is None else self.sealed.recipients_at(to.node)
        return self.trust.down(to.node, statements, versions, seals, recipients)

    def _header(self, to: Recipient, models: Mapping[str, header.SentModel], trust: DownTrust | None) -> header.DownHeader:
        options = to.options
        publishes = options.uplink == "stream"
        return header.DownHeader(
            config=stream_config(options.up) if options.up is not None and publishes else options.up,
            uplink=options.uplink,
            models=models,
            server_versions=self._server_versions() if publishes else {},
            feedback=options.feedback_up,
            rules=options.rules,
            trust=trust,
        )

    def _server_versions(self) -> dict[str, str]:
        return self.streams.published_by_nodes() | (self.sealed.bases() if self.sealed is not None else {})


def pack_plain(content: RecordDict, direction: Direction) -> PackedContent:
    """Describe a content that travels uncoded."""
    size = message_size(content, direction)
    return PackedContent(content=content, records=describe_plain(content, direction), raw_bytes=size, wire_bytes=size)
