"""The client's half: a mod that turns payloads into models before the app runs, and models into payloads after."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flwr.app import Context, Message, RecordDict

from fedretina.dom import ReferenceStore, Version, follow, publish
from fedretina.errors import UnknownBase
from fedretina.flower import header, records, state
from fedretina.home import references

App = Callable[[Message, Context], Message]


@dataclass(frozen=True)
class _Received:
    """The models of one message: versions by record name, and how long decoding took."""

    versions: dict[str, Version] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()


class DomMod:
    """A Flower mod for DoM traffic. Put it first: ``ClientApp(mods=[DomMod()])``, or `dom_mod` with its defaults.

    Messages that do not come from a `DomGrid` pass untouched. A message whose base the node no longer has is answered at
    once with what it does hold, and comes again in another form; the app sees it only then.

    Parameters
    ----------
    store : Path, optional
        Folder of the versions that deltas build on; by default ``references`` in the user's folder.
    """

    def __init__(self, store: Path | None = None) -> None:
        self._folder = store

    def __call__(self, message: Message, context: Context, call_next: App) -> Message:
        """Decode, run the rest, encode."""
        if not message.has_content() or header.NAME not in message.content.config_records:
            return call_next(message, context)
        down = header.Down.read(message.content.config_records[header.NAME])
        store = ReferenceStore(self._folder or references())
        received = _decode(message, down, store)
        state.remember(context, {down.streams[name]: v.digest for name, v in received.versions.items()})
        if received.lacking:
            return _without_base(message, context, received, store)
        models = {name: records.to_record(version.model, down.orders[name]) for name, version in received.versions.items()}
        message.content = records.replaced(header.without_header(message.content), models)
        reply = call_next(message, context)
        return _encode(reply, context, down, received, store) if reply.has_content() else reply


def _decode(message: Message, down: header.Down, store: ReferenceStore) -> _Received:
    received, lacking = _Received(), []
    for name in down.streams:
        start = time.perf_counter()
        base = store.get(down.bases[name]) if name in down.bases else None
        try:
            received.versions[name] = follow(records.unpack(message.content.array_records[name]), base=base)
        except UnknownBase:
            lacking.append(name)
            continue
        store.put(received.versions[name])
        received.seconds[name] = time.perf_counter() - start
    return _Received(received.versions, received.seconds, tuple(lacking))


def _without_base(message: Message, context: Context, received: _Received, store: ReferenceStore) -> Message:
    held = {stream: digest for stream, digest in state.holds(context).items() if digest in store}
    up = header.Up(holds=held, lacking=received.lacking, decode_s=received.seconds)
    return Message(RecordDict({header.NAME: up.record()}), reply_to=message)


def _encode(reply: Message, context: Context, down: header.Down, received: _Received, store: ReferenceStore) -> Message:
    packed, streams, bases, orders, seconds = {}, {}, {}, {}, {}
    for name, record in reply.content.array_records.items():
        start = time.perf_counter()
        base = _base(name, down, received, store)
        published = publish(records.to_model(record), base=base, config=down.config)
        if down.uplink == "stream":
            store.put(published.version)
        packed[name] = records.pack([published.payload])
        streams[name] = name if down.uplink == "stream" else ""
        if base is not None:
            bases[name] = base.digest
        orders[name] = records.order_of(record)
        seconds[name] = time.perf_counter() - start
    up = header.Up(
        holds=state.holds(context),
        streams=streams,
        bases=bases,
        orders=orders,
        encode_s=seconds,
        decode_s=received.seconds,
    )
    reply.content = records.replaced(reply.content, packed)
    reply.content[header.NAME] = up.record()
    return reply


def _base(name: str, down: header.Down, received: _Received, store: ReferenceStore) -> Version | None:
    """Choose what a reply's model is coded against: something that the server is known to hold."""
    if down.uplink == "stream":
        return store.get(down.have[name]) if name in down.have else None
    if name in received.versions:
        return received.versions[name]
    return next(iter(received.versions.values())) if len(received.versions) == 1 else None


dom_mod = DomMod()
