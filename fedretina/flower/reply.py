"""The node codes its reply: what is a version of the model that it received may lose precision, all else is exact."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from flwr.app import ArrayRecord, Context, Message, RecordDict

from fedretina.dom import DomConfig, Model, ReferenceStore, Version, add_residual, publish
from fedretina.flower import header, node_state, records
from fedretina.flower.continuity import has_same_tensors, is_near, is_tiny, matching_tensors, replaced_tensors
from fedretina.flower.precision import MODEL_NAMES, exactly, find_model, find_rule, under_rule
from fedretina.flower.sizes import message_size, wire_size

LEAST_BYTES = 512  # smaller records are not worth a payload


@dataclass
class Received:
    """The models of one message: versions by record name, and what could not be decoded, with the reason."""

    versions: dict[str, Version] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Plan:
    """How one record is coded: against what, how, and which of its tensors exactly whatever the configuration says."""

    base: Version | None
    config: DomConfig
    exact: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Coded:
    """One record in both forms: as payload with its header, and as plain Flower sends it; what quantisation lost."""

    packed: ArrayRecord
    plain: ArrayRecord
    model: header.ReturnedModel
    residual: Version | None

    @property
    def is_smaller(self) -> bool:
        """Tell whether the payload is the smaller form."""
        return wire_size(self.packed, "up") < wire_size(self.plain, "up")


@dataclass(frozen=True)
class ReplyEncoder:
    """Codes a reply as the message asked for.

    Parameters
    ----------
    context : Context
        The node's; it holds the digests of what feedback carries.
    down : Down
        The message's header.
    received : Received
        Its models.
    store : ReferenceStore
        The node's.
    main : str or None
        Name of the record that held the model in the message.
    message_type : str
        The message's.
    """

    context: Context
    down: header.Down
    received: Received
    store: ReferenceStore
    main: str | None
    message_type: str

    def encode(self, reply: Message) -> Message:
        """Put payloads in place of a reply's records where that is smaller, and a header if there are any."""
        if self.down.config is None:
            return reply
        main = find_model(reply.content)
        coded: dict[str, _Coded] = {}
        for name, record in reply.content.array_records.items():
            if wire_size(record, "up") > LEAST_BYTES and (model := records.read_model(record)) is not None:
                coded[name] = self._code(name, record, model, self._plan(name, model, is_main=name == main))
        sent = {name: one for name, one in coded.items() if one.is_smaller or one.model.stream}
        plain = records.replaced(reply.content, {name: one.plain for name, one in coded.items()})
        packed = self._packed(plain, sent)
        publishes = any(one.model.stream for one in sent.values())
        if not sent or (not publishes and message_size(packed, "up") >= message_size(plain, "up")):
            sent, packed = {}, plain
        lost = {name: one.residual for name, one in sent.items()}
        self._keep_residuals({name: lost.get(name) for name in coded})
        reply.content = packed
        return reply

    def _packed(self, plain: RecordDict, sent: Mapping[str, _Coded]) -> RecordDict:
        """Return a content with payloads and a header."""
        content = records.replaced(plain, {name: one.packed for name, one in sent.items()})
        models = {name: one.model for name, one in sent.items()}
        up = header.Up(holds=node_state.holds(self.context), models=models)
        content[header.NAME] = up.record()
        return content

    def _keep_residuals(self, lost: Mapping[str, Version | None]) -> None:
        """Keep what quantisation lost of the records that were sent; what was sent exactly lost nothing."""
        if not self.down.feedback:
            return
        for residual in lost.values():
            if residual is not None:
                self.store.put(residual)
        node_state.remember_residuals(self.context, {name: r.digest if r is not None else "" for name, r in lost.items()})

    def _is_published(self, name: str) -> bool:
        """Tell whether a record is a version of the node's own stream."""
        rule = find_rule(self.down.rules, name, self.message_type)
        return self.down.uplink == "stream" and self.message_type == "train" and (rule is None or rule.lossy)

    def _plan(self, name: str, model: Model, *, is_main: bool) -> _Plan:
        config, rule = self.down.config, find_rule(self.down.rules, name, self.message_type)
        assert config is not None
        if self._is_published(name):
            held = self.store.get(self.down.server_versions[name]) if name in self.down.server_versions else None
            return _Plan(held, config if rule is None else under_rule(config, rule))
        base = self._base(name, model)
        if rule is not None:
            return _Plan(base, under_rule(config, rule))
        if base is None or not is_near(model, base.model):
            return _Plan(None, exactly(config))
        if self.message_type != "train" or not is_main or is_tiny(model):
            return _Plan(base, exactly(config))
        return _Plan(base, config, replaced_tensors(model, base.model))

    def _base(self, name: str, model: Model) -> Version | None:
        """Find the received model that a record is the next version of: of the same name, or each message's only model."""
        streams = self.down.models
        versions = {name: version for name, version in self.received.versions.items() if streams[name].stream}
        base = versions.get(name)
        if base is None and self.main in versions and (name in MODEL_NAMES or len(versions) == 1):
            base = versions[self.main]
        return base if base is not None and has_same_tensors(model, base.model) else None

    def _code(self, name: str, record: ArrayRecord, model: Model, plan: _Plan) -> _Coded:
        start = time.perf_counter()
        feeds_back = self.down.feedback and plan.base is not None and not self._is_published(name)
        carried = self._carried(name, model) if feeds_back else {}
        published = publish(model, base=plan.base, config=plan.config, residual=carried, exact=plan.exact)
        if self._is_published(name):
            self.store.put(published.version)
        told = header.ReturnedModel(
            stream=name if self._is_published(name) else "",
            base=plan.base.digest if plan.base is not None else "",
            order=records.order_of(record),
            encode_s=time.perf_counter() - start,
        )
        return _Coded(
            packed=records.pack([published.payload]),
            plain=records.to_record(add_residual(model, carried), records.order_of(record)) if carried else record,
            model=told,
            residual=Version.of(published.residual) if feeds_back and not plan.config.lossless else None,
        )

    def _carried(self, name: str, model: Model) -> Model:
        """Return what quantisation lost of the last reply."""
        digest = node_state.residuals(self.context).get(name)
        residual = self.store.get(digest) if digest else None
        return {} if residual is None else matching_tensors(residual.model, model)
