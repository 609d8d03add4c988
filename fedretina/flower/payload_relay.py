"""Relay of versions without decoding: the server keeps payload logs and digests, the nodes keep the models.

`PayloadRelay` is the server's half, `RelayedModels` the node's half. A node publishes the versions of its domains' models.
The server relays their payloads byte for byte. It never holds a model, so its memory does not grow with the models.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from flwr.app import ConfigRecord, RecordDict

from fedretina.dom import DomConfig, Link, Model, PayloadLog, ReferenceStore, Version, follow, link_of, publish
from fedretina.errors import BadArgument, Corrupt, TooNew, UnknownBase
from fedretina.flower import records
from fedretina.flower.streams import stream_config

NAME = "fedretina.relay"
"""Name of the record that says which versions the payloads lead to."""
KEYFRAME_EVERY = 8
"""A log keeps this many payloads, and every so many versions the maker publishes a keyframe: the log always has one."""


class PayloadRelay:
    """The server's half: a `PayloadLog` for each stream, and the versions that each receiver holds.

    Receivers are domains, not nodes: a node may host several, and another one after a restart.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> server, node = PayloadRelay(), RelayedModels(ReferenceStore(tempfile.mkdtemp()), DomConfig())
    >>> up = node.publish("mill", {"w": np.ones(99, np.float32)}, server.request("mill", []))
    >>> server.receive("mill", up).number
    1
    >>> down = server.request("port", ["mill"])
    >>> node.receive(down)["mill"]["w"].shape
    (99,)
    """

    def __init__(self) -> None:
        self._logs: dict[str, PayloadLog] = {}
        self._held: dict[str, dict[str, str]] = {}
        self._whole: dict[str, int] = {}  # by stream: the cost for a receiver that holds nothing of it
        self._paths: dict[str, list[Link]] = {}  # by stream: what leads from nothing to the newest version
        self._named: dict[str, dict[str, list[Link]]] = {}  # by receiver: what leads from nothing to what it was sent last

    @property
    def streams(self) -> list[str]:
        """The streams that have a version."""
        return list(self._logs)

    @property
    def payload_bytes(self) -> int:
        """What all logs keep, in bytes."""
        return sum(len(link.payload) for log in self._logs.values() for link in log.links)

    def version(self, stream: str) -> int:
        """Return the number of a stream's newest version; 0 if there is none."""
        return self._logs[stream].number if stream in self._logs else 0

    def newest(self, stream: str) -> str:
        """Return the digest of a stream's newest version; `BadArgument` if there is none."""
        if stream not in self._logs:
            raise BadArgument(f"stream {stream!r} has no version yet; publish one first")
        return str(self._logs[stream].newest)

    def cost(self, receiver: str, stream: str) -> int:
        """Return how many bytes of payload a receiver needs for the newest version of a stream."""
        if (held := self._held.get(receiver, {}).get(stream)) is not None:
            return sum(map(len, self._payloads(held, stream)))
        if stream not in self._whole:
            self._whole[stream] = sum(map(len, self._payloads(None, stream)))
        return self._whole[stream]

    def request(self, receiver: str, streams: Sequence[str]) -> RecordDict:
        """Make the content of a message: the payloads that lead a receiver to the newest versions of streams.

        It also says on which version of its own stream the receiver is to build, and whether it must publish a keyframe.

        Parameters
        ----------
        receiver : str
            The domain.
        streams : sequence of str
            The streams that it needs.

        Raises
        ------
        BadArgument
            If a stream has no version.
        """
        if missing := [stream for stream in streams if stream not in self._logs]:
            raise BadArgument(f"{', '.join(missing)} cannot be relayed to {receiver!r}: no version was published yet")
        held = self._held.get(receiver, {})
        content = RecordDict({stream: records.pack(self._payloads(held.get(stream), stream)) for stream in streams})
        own = self._logs.get(receiver)
        entries = {
            "newest": {stream: self._logs[stream].newest for stream in streams},
            "bases": {stream: held.get(stream) for stream in streams},
            "own": None if own is None else own.newest,
            "keyframe": own is None or own.number % KEYFRAME_EVERY == 0,
        }
        content[NAME] = ConfigRecord({"json": json.dumps(entries)})
        named = [stream for stream in (*streams, receiver) if stream in self._logs]
        self._named[receiver] = {stream: self._path_from_nothing(stream) for stream in named}
        return content

    def repeat(self, receiver: str, request: RecordDict) -> RecordDict:
        """Make a request again for a node that lacks a base: what leads there from nothing, and the receiver's own version.

        It leads to the versions of the first request: newer ones may have come, but what a turn learns from must not depend
        on which node lacked what. `request` is the last one that was made for the receiver.
        """
        entries = _entries(request)
        wanted = [*entries["newest"], *([receiver] if entries["own"] else [])]
        named = self._named[receiver]
        content = RecordDict({stream: records.pack([link.payload for link in named[stream]]) for stream in wanted})
        entries["bases"] = dict.fromkeys(entries["newest"])
        if entries["own"]:
            entries["own stream"] = receiver
        content[NAME] = ConfigRecord({"json": json.dumps(entries)})
        return content

    def acknowledge(self, receiver: str, request: RecordDict, *, without: Collection[str] = ()) -> None:
        """Note that a receiver has decoded a request, `without` some streams: later requests build on its versions."""
        newest = {stream: digest for stream, digest in _entries(request)["newest"].items() if stream not in without}
        self._held.setdefault(receiver, {}).update(newest)
        self._named.pop(receiver, None)

    def receive(self, stream: str, reply: RecordDict) -> Link:
        """Keep the payload of a reply as the next version of a stream; its check sum is verified, its tensors are not.

        Raises
        ------
        Corrupt, Truncated, TooNew, UnknownBase
            As `PayloadLog.append`; the version before stays in force. Also if it is a delta where a keyframe was asked for.
        """
        log = self._logs.get(stream) or PayloadLog(stream, keep=KEYFRAME_EVERY)
        payload = single_payload(stream, reply)
        if log.number % KEYFRAME_EVERY == 0 and log.read(payload).base is not None:
            raise Corrupt(f"stream {stream!r}: a delta came where a keyframe was asked for; the reply is dropped")
        link = log.append(payload)
        self._logs[stream] = log
        self._whole.pop(stream, None)
        self._paths.pop(stream, None)
        return link

    def _path_from_nothing(self, stream: str) -> list[Link]:
        """Return the links from nothing to a stream's newest version: found once a version, for all receivers."""
        if stream not in self._paths:
            self._paths[stream] = self._logs[stream].path(None, self.newest(stream))
        return self._paths[stream]

    def _payloads(self, base: str | None, stream: str) -> tuple[bytes, ...]:
        route = self._logs[stream].route(base)
        assert route is not None  # makers publish a keyframe before the log loses the last one
        return route.payloads


@dataclass(frozen=True)
class RelayedModels:
    """The node's half: decodes relayed versions, and codes the node's own.

    Parameters
    ----------
    store : ReferenceStore
        The versions on this node; all domains of the node share it.
    config : DomConfig
        How versions are coded.
    """

    store: ReferenceStore
    config: DomConfig

    def receive(self, content: RecordDict) -> dict[str, Model]:
        """Decode the versions of a message, by stream.

        Raises
        ------
        UnknownBase
            If a base is not held (any more): ask the server for the payloads from nothing.
        Corrupt
            If payloads do not lead to the version that the message names.
        """
        models, broken = self.receive_sound(content)
        if broken:
            raise Corrupt("; ".join(broken.values()))
        return models

    def receive_sound(self, content: RecordDict) -> tuple[dict[str, Model], dict[str, str]]:
        """Decode the versions of a message, and leave out those that cannot be decoded: one bad peer ends no turn.

        Returns
        -------
        dict of str to mapping
            The models by stream.
        dict of str to str
            By stream, why a version cannot be decoded.

        Raises
        ------
        UnknownBase
            As `receive`.
        """
        entries, models, broken = _entries(content), dict[str, Model](), dict[str, str]()
        for stream, digest in entries["newest"].items():
            try:
                models[stream] = self._version(stream, digest, entries["bases"][stream], content).model
            except (Corrupt, TooNew) as error:
                broken[stream] = str(error)
        return models, broken

    def own(self, content: RecordDict) -> Model | None:
        """Return the receiver's own newest version, which the message names; None if there is none.

        Raises
        ------
        UnknownBase
            If it is not held (any more): another node may have made it. The server then sends its payloads.
        """
        return self._own(content).model if _entries(content)["own"] else None

    def publish(self, stream: str, model: Model, content: RecordDict) -> RecordDict:
        """Make the next version of a stream: the difference to the newest, or a keyframe if the message asks for one.

        Raises
        ------
        UnknownBase
            If the newest is not held any more: another process may have taken its place on disk. What a turn publishes must
            not depend on that.
        """
        entries = _entries(content)
        base = None if entries["keyframe"] or not entries["own"] else self._own(content)
        made = publish(model, base=base, config=stream_config(self.config))
        self.store.put(made.version)
        return RecordDict({stream: records.pack([made.payload])})

    def _own(self, content: RecordDict) -> Version:
        entries = _entries(content)
        return self._version(entries.get("own stream", "the receiver's own"), entries["own"], None, content)

    def _version(self, stream: str, digest: str, base: str | None, content: RecordDict) -> Version:
        if (known := self.store.get(digest)) is not None:
            return known
        payloads = records.unpack(content.array_records[stream]) if stream in content.array_records else ()
        held = self.store.get(base) if base else None
        if held is None and (not payloads or link_of(0, payloads[0]).base is not None):
            raise UnknownBase(f"stream {stream!r}: the base {str(base)[:8]} is not held (any more); send a keyframe")
        version = follow(payloads, base=held)
        if version.digest != digest:
            raise Corrupt(
                f"stream {stream!r}: the payloads lead to version {version.digest[:8]}, the message names {digest[:8]}; "
                "send it again"
            )
        self.store.put(version)
        return version


def newest_digests(content: RecordDict) -> dict[str, str]:
    """Return the digests that a request leads to, by stream; none for a content that is no request."""
    return dict(_entries(content)["newest"]) if NAME in content.config_records else {}


def own_version(content: RecordDict) -> str:
    """Return the digest of the receiver's own newest version, as a request names it; "" if there is none."""
    return str(_entries(content)["own"] or "") if NAME in content.config_records else ""


def _entries(content: RecordDict) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(str(content.config_records[NAME]["json"]))
    return found


def single_payload(stream: str, reply: RecordDict) -> bytes:
    """Return the payload of a reply's version; `Corrupt` if it has none, or several."""
    payloads = records.unpack(reply.array_records[stream]) if stream in reply.array_records else ()
    if len(payloads) != 1:
        raise Corrupt(f"stream {stream!r}: the reply has {len(payloads)} payloads, allowed is one; drop the reply")
    return payloads[0]
