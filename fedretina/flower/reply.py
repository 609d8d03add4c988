"""A node's reply as it travels: the next version of the model that it received may lose precision; all else is exact."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from flwr.app import ArrayRecord, Context, Message, RecordDict

from fedretina.dom import DomConfig, Model, Published, ReferenceStore, Version, add_residual, publish
from fedretina.flower import header, node_state, records
from fedretina.flower.precision import MODEL_NAMES, find_model_name, find_rule, rule_config
from fedretina.flower.seals import UpSeal
from fedretina.flower.similarity import dissimilar_tensors, has_same_tensors, is_similar, is_small, matching_tensors
from fedretina.flower.sizes import message_size, wire_size
from fedretina.flower.trust import NodeTrust

MIN_CODED_BYTES = 512
"""Records of this size or less travel as they are: a payload would not be smaller."""


@dataclass
class ReceivedModels:
    """The models of one message, by record name: the versions, and the reasons why others could not be decoded."""

    versions: dict[str, Version] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _CodingPlan:
    """How one record is coded: the base, the configuration, and the names of tensors that stay exact in any case."""

    base: Version | None
    config: DomConfig
    exact: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _CodedRecord:
    """One record in both forms: as payload with its header entry, and as plain Flower sends it; residual and signature."""

    packed: ArrayRecord
    plain: ArrayRecord
    model: header.ReturnedModel
    residual: Version | None
    statement: bytes
    seal: UpSeal | None

    @property
    def is_smaller(self) -> bool:
        """Whether the payload is the smaller form."""
        return wire_size(self.packed, "up") < wire_size(self.plain, "up")


@dataclass(frozen=True)
class ReplyEncoder:
    """Codes a reply as the message's header asks.

    Parameters
    ----------
    context : Context
        The node's context; it has the digests of residuals.
    down : DownHeader
        The header of the message.
    received : ReceivedModels
        The models of the message.
    store : ReferenceStore
        The node's store.
    model_name : str or None
        Name of the record that held the model in the message.
    message_type : str
        The message's type.
    trust : NodeTrust or None, default None
        Signs what is sent. Every record is coded then.
    """

    context: Context
    down: header.DownHeader
    received: ReceivedModels
    store: ReferenceStore
    model_name: str | None
    message_type: str
    trust: NodeTrust | None = None

    def encode(self, reply: Message) -> Message:
        """Replace a reply's records by payloads where these are smaller, and add a header if there are payloads."""
        if self.down.config is None:
            return reply
        model_name = find_model_name(reply.content)
        coded: dict[str, _CodedRecord] = {}
        for name, record in reply.content.array_records.items():
            if not self.trust and wire_size(record, "up") <= MIN_CODED_BYTES:
                continue
            if (model := records.read_model(record)) is not None:
                coded[name] = self._code(name, record, model, self._plan(name, model, is_main=name == model_name))
        sent = {name: record for name, record in coded.items() if self.trust or record.is_smaller or record.model.stream}
        plain = records.replace_records(reply.content, {name: record.plain for name, record in coded.items()})
        packed = self._pack(plain, sent)
        publishes = any(record.model.stream for record in sent.values())
        if self.trust is None and (not sent or (not publishes and message_size(packed, "up") >= message_size(plain, "up"))):
            sent, packed = {}, plain
        self._keep_residuals({name: sent[name].residual if name in sent else None for name in coded})
        reply.content = packed
        return reply

    def _pack(self, plain: RecordDict, sent: Mapping[str, _CodedRecord]) -> RecordDict:
        """Return a content with payloads and a header."""
        content = records.replace_records(plain, {name: record.packed for name, record in sent.items()})
        models = {name: record.model for name, record in sent.items()}
        signed = {name: record.statement for name, record in sent.items()}
        seals = {name: record.seal for name, record in sent.items() if record.seal is not None}
        trust = None if self.trust is None else self.trust.up(signed, seals)
        up = header.UpHeader(held=node_state.held_versions(self.context), models=models, trust=trust)
        content[header.NAME] = up.to_record()
        return content

    def _keep_residuals(self, residuals: Mapping[str, Version | None]) -> None:
        """Keep the residuals for the next reply; a record that was sent exactly has none."""
        if not self.down.feedback:
            return
        for residual in residuals.values():
            if residual is not None:
                self.store.put(residual)
        digests = {name: residual.digest if residual is not None else "" for name, residual in residuals.items()}
        node_state.add_residuals(self.context, digests)

    def _is_published(self, name: str) -> bool:
        """Return whether a record is a version of the node's own stream."""
        rule = find_rule(self.down.rules, name, self.message_type)
        return self.down.uplink == "stream" and self.message_type == "train" and (rule is None or rule.lossy)

    def _plan(self, name: str, model: Model, *, is_main: bool) -> _CodingPlan:
        config, rule = self.down.config, find_rule(self.down.rules, name, self.message_type)
        assert config is not None
        if self._is_published(name):
            held = self.store.get(self.down.server_versions[name]) if name in self.down.server_versions else None
            return _CodingPlan(held, config if rule is None else rule_config(config, rule))
        base = self._base(name, model)
        if rule is not None:
            return _CodingPlan(base, rule_config(config, rule))
        if base is None or not is_similar(model, base.model):
            return _CodingPlan(None, config.exact)
        if self.message_type != "train" or not is_main or is_small(model):
            return _CodingPlan(base, config.exact)
        return _CodingPlan(base, config, dissimilar_tensors(model, base.model))

    def _base(self, name: str, model: Model) -> Version | None:
        """Return the received model that a record is the next version of.

        It has the same name, or the name before the last "@" (a node that hosts several domains replies with a version from
        each), or it is the message's only model.
        """
        streams = self.down.models
        versions = {name: version for name, version in self.received.versions.items() if streams[name].stream}
        base = versions.get(name) or versions.get(name.rpartition("@")[0])
        if base is None and self.model_name in versions and (name in MODEL_NAMES or len(versions) == 1):
            base = versions[self.model_name]
        return base if base is not None and has_same_tensors(model, base.model) else None

    def _code(self, name: str, record: ArrayRecord, model: Model, plan: _CodingPlan) -> _CodedRecord:
        start = time.perf_counter()
        feeds_back = self.down.feedback and plan.base is not None and not self._is_published(name)
        previous = self._previous_residual(name, model) if feeds_back else {}
        published = publish(model, base=plan.base, config=plan.config, residual=previous, exact=plan.exact)
        if self._is_published(name):
            self.store.put(published.version)
        info = header.ReturnedModel(
            stream=name if self._is_published(name) else "",
            base=plan.base.digest if plan.base is not None else "",
            order=records.order_of(record),
            encode_s=time.perf_counter() - start,
        )
        residual: Model = published.residual if feeds_back else {}
        payload, statement, seal = self._sign_and_seal(name, record, published, info.base)
        return _CodedRecord(
            packed=records.pack([payload]),
            plain=records.to_record(add_residual(model, previous), records.order_of(record)) if previous else record,
            model=info,
            residual=Version.of(residual) if residual else None,
            statement=statement,
            seal=seal,
        )

    def _sign_and_seal(
        self, name: str, record: ArrayRecord, published: Published, base: str
    ) -> tuple[bytes, bytes, UpSeal | None]:
        """Return the payload as it travels, its statement, and the wrapped keys if it is sealed: sign first, then seal."""
        if self.trust is None or self.down.trust is None:
            return published.payload, b"", None
        is_published = self._is_published(name)
        statement = self.trust.sign(name, published.payload, published.version, base, published=is_published)
        recipients = self.down.trust.recipients
        if recipients is None or not is_published:
            return published.payload, statement, None
        sealed = self.trust.seal(name, published.payload, statement, recipients.get(name))
        return sealed.body, statement, UpSeal(sealed.stanzas, (wire_size(record, "down"), wire_size(record, "up")))

    def _previous_residual(self, name: str, model: Model) -> Model:
        """Return the residual of the last reply."""
        digest = node_state.residuals(self.context).get(name)
        residual = self.store.get(digest) if digest else None
        return {} if residual is None else matching_tensors(residual.model, model)
