"""The client's half: a mod that turns payloads into models before the app runs, and models into payloads after."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, RecordDict

from fedretina.dom import DomConfig, Model, ReferenceStore, Version, follow, publish
from fedretina.errors import Corrupt, FedRetinaError, UnknownBase
from fedretina.flower import header, records, state
from fedretina.flower.lazy import Held, lazy_record
from fedretina.flower.likeness import fitting
from fedretina.home import references

App = Callable[[Message, Context], Message]


@dataclass(frozen=True)
class _Received:
    """The models of one message: versions by record name, how long decoding took, and what failed why."""

    versions: dict[str, Version] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)


class DomMod:
    """A Flower mod for DoM traffic. Put it first: ``ClientApp(mods=[DomMod()])``, or `dom_mod` with its defaults.

    Messages that do not come from a `DomGrid` pass untouched. A message whose base the node no longer has, or that came
    damaged, is answered at once with what the node does hold, and comes again in another form; the app sees it only then.

    Parameters
    ----------
    store : Path, optional
        Folder of the versions that deltas build on; by default ``references`` in the user's folder. All nodes of a
        machine may share it.
    """

    def __init__(self, store: Path | None = None) -> None:
        self._folder = store
        self._last: Version | None = None

    def __call__(self, message: Message, context: Context, call_next: App) -> Message:
        """Decode, run the rest, encode."""
        if not message.has_content() or header.NAME not in message.content.config_records:
            return call_next(message, context)
        down = header.Down.read(message.content.config_records[header.NAME])
        store = ReferenceStore(self._folder or references())
        received = self._decode(message, down, store)
        state.remember(context, {down.streams[name]: v.digest for name, v in received.versions.items()})
        if received.lacking:
            return _without_base(message, context, received, store)
        models = {
            name: lazy_record(Held(version), version.model, records.in_order(version.model, down.orders[name]))
            for name, version in received.versions.items()
        }
        message.content = records.replaced(header.without_header(message.content), models)
        reply = call_next(message, context)
        return _Encoder(context, down, received, store).encode(reply) if reply.has_content() else reply

    def _decode(self, message: Message, down: header.Down, store: ReferenceStore) -> _Received:
        received = _Received()
        for name in down.streams:
            start = time.perf_counter()
            try:
                received.versions[name] = self._version(name, message, down, store)
            except FedRetinaError as error:
                received.lacking[name] = f"{type(error).__name__}: {error}"
            received.seconds[name] = time.perf_counter() - start
        return received

    def _version(self, name: str, message: Message, down: header.Down, store: ReferenceStore) -> Version:
        """Give the version that a message is about: another node of this machine may have decoded it before."""
        wanted = down.digests[name]
        if (known := self._held(wanted, store)) is not None:
            return known
        base = self._held(down.bases[name], store) if name in down.bases else None
        payloads = records.unpack(message.content.array_records[name])
        if not payloads and base is None:
            raise UnknownBase(f"version {wanted[:8]} was sent as a reference, and is not held here (any more)")
        version = follow(payloads, base=base)
        if version.digest != wanted:
            raise Corrupt(f"the payloads lead to version {version.digest[:8]} instead of {wanted[:8]}")
        store.put(version)
        self._last = version
        return version

    def _held(self, digest: str, store: ReferenceStore) -> Version | None:
        """Read a version, unless it is the last one read: the nodes of a simulation want the same, one after the other."""
        last = self._last
        if last is not None and last.digest == digest and digest in store:
            return last
        found = store.get(digest)
        self._last = found or last
        return found


def _without_base(message: Message, context: Context, received: _Received, store: ReferenceStore) -> Message:
    held = {stream: digest for stream, digest in state.holds(context).items() if digest in store}
    up = header.Up(holds=held, lacking=received.lacking, decode_s=received.seconds)
    return Message(RecordDict({header.NAME: up.record()}), reply_to=message)


@dataclass(frozen=True)
class _Encoder:
    """Codes a reply as the message asked for."""

    context: Context
    down: header.Down
    received: _Received
    store: ReferenceStore

    def encode(self, reply: Message) -> Message:
        """Give the reply with payloads in place of its models, and a header."""
        config = self.down.config
        packed: dict[str, ArrayRecord] = {}
        streams, bases, orders, seconds = {}, {}, {}, {}
        for name, record in reply.content.array_records.items():
            start = time.perf_counter()
            model = records.weights_of(record) if config is not None else None
            if config is None or model is None:
                continue
            base = self._base(name)
            packed[name] = records.pack([self._payload(name, model, base, config)])
            streams[name] = name if self.down.uplink == "stream" else ""
            if base is not None:
                bases[name] = base.digest
            orders[name] = records.order_of(record)
            seconds[name] = time.perf_counter() - start
        up = header.Up(
            holds=state.holds(self.context),
            streams=streams,
            bases=bases,
            orders=orders,
            encode_s=seconds,
            decode_s=self.received.seconds,
        )
        reply.content = records.replaced(reply.content, packed)
        reply.content[header.NAME] = up.record()
        return reply

    def _payload(self, name: str, model: Model, base: Version | None, config: DomConfig) -> bytes:
        if not self.down.feedback or base is None:
            published = publish(model, base=base, config=config)
            if self.down.uplink == "stream":
                self.store.put(published.version)
            return published.payload
        before = state.lost(self.context).get(name)
        left = self.store.get(before) if before is not None else None
        carried = {} if left is None else fitting(left.model, model)
        published = publish(model, base=base, config=config, residual=carried)
        left = Version.of(published.residual)
        self.store.put(left)
        state.remember_lost(self.context, {name: left.digest})
        return published.payload

    def _base(self, name: str) -> Version | None:
        """Choose what a reply's model is coded against: something that the server is known to hold."""
        if self.down.uplink == "stream":
            return self.store.get(self.down.have[name]) if name in self.down.have else None
        versions = self.received.versions
        if name in versions:
            return versions[name]
        return next(iter(versions.values())) if len(versions) == 1 else None


dom_mod = DomMod()
