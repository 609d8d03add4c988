"""The client's half: a mod that turns payloads into models before the app runs, and models into payloads after."""

from collections.abc import Callable
from pathlib import Path

from flwr.app import Context, Message, RecordDict

from fedretina.dom import ReferenceStore, Version, follow
from fedretina.errors import Corrupt, FedRetinaError, UnknownBase
from fedretina.flower import header, records, state
from fedretina.flower.lazy import Held, lazy_record
from fedretina.flower.precision import find_model
from fedretina.flower.reply import Received, ReplyEncoder
from fedretina.home import references

App = Callable[[Message, Context], Message]


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
        streams = {name: model.stream for name, model in down.models.items() if model.stream}
        state.remember(context, {streams[name]: v.digest for name, v in received.versions.items() if name in streams})
        if received.missing:
            return _without_base(message, context, received, store)
        models = {
            name: lazy_record(Held(version), version.model, records.in_order(version.model, down.models[name].order))
            for name, version in received.versions.items()
        }
        message.content = records.replaced(header.without_header(message.content), models)
        main = find_model(message.content)
        reply = call_next(message, context)
        if not reply.has_content():
            return reply
        return ReplyEncoder(context, down, received, store, main, message.metadata.message_type).encode(reply)

    def _decode(self, message: Message, down: header.Down, store: ReferenceStore) -> Received:
        received = Received()
        for name, model in down.models.items():
            try:
                received.versions[name] = self._version(name, message, model, store)
            except FedRetinaError as error:
                received.missing[name] = f"{type(error).__name__}: {error}"
        return received

    def _version(self, name: str, message: Message, model: header.SentModel, store: ReferenceStore) -> Version:
        """Give the version that a message is about: another node of this machine may have decoded it before."""
        if (known := self._held(model.digest, store)) is not None:
            return known
        base = self._held(model.base, store) if model.base else None
        if name not in message.content.array_records:
            raise Corrupt(f"the message's DoM header names a record {name!r} that is not there")
        payloads = records.unpack(message.content.array_records[name])
        if not payloads and base is None:
            raise UnknownBase(f"version {model.digest[:8]} was sent as a reference, and is not held here (any more)")
        version = follow(payloads, base=base)
        if version.digest != model.digest:
            raise Corrupt(f"the payloads lead to version {version.digest[:8]} instead of {model.digest[:8]}")
        if model.stream:
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


def _without_base(message: Message, context: Context, received: Received, store: ReferenceStore) -> Message:
    held = {stream: digest for stream, digest in state.holds(context).items() if digest in store}
    up = header.Up(holds=held, missing=received.missing)
    return Message(RecordDict({header.NAME: up.record()}), reply_to=message)


dom_mod = DomMod()
