"""The server's half: a grid that sends every model as a difference of models, and counts what is sent."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, Error, Message, RecordDict
from flwr.serverapp import Grid

from fedretina.dom import DomConfig, ReferenceStore
from fedretina.dom.links import link_of
from fedretina.errors import FedRetinaError, UnknownBase
from fedretina.flower import header, records
from fedretina.flower.parcels import Letter, Parcel, plain
from fedretina.flower.shelf import Shelf
from fedretina.home import references
from fedretina.ledger import Ledger

POLL_S = 0.1
TRIES = 3  # as planned, without the base that was lacking, without any base
UNUSABLE_REPLY = 6  # Flower's ErrorCode.MOD_FAILED_PRECONDITION


@dataclass
class _Sent:
    """A message under way: as the strategy made it, as it was sent, and how often."""

    message: Message
    outgoing: Message
    letter: Letter
    original: str
    tries: int = 1


class DomGrid(Grid):
    """A grid for any strategy: ``strategy.start(grid=DomGrid(grid), ...)``, with `dom_mod` in the ClientApp.

    Models that nodes published are relayed byte for byte; models that the server makes are encoded once per (base, new).
    A node that lacks a base is served in another way before the strategy hears of it. A reply that cannot be believed
    becomes an error reply, as a crash of the node would.

    Parameters
    ----------
    grid : Grid
        Flower's.
    config : DomConfig or None, optional
        How models are coded; by default ``DomConfig()``. None sends them as they are, and only counts.
    uplink : {"one-shot", "stream"}, default "one-shot"
        What a reply's model is: something to be aggregated, coded against the model that the node just received; or a
        version of the node's own stream (named as the record is), kept, and relayed as published.
    ledger : Ledger, optional
        Where a row for every model goes; by default one in memory.
    store : Path, optional
        Folder of the versions that deltas build on; by default ``references`` in the user's folder.
    streams : Path, optional
        Folder in which the payloads of the streams are kept, so that a resumed run can go on with them.

    Attributes
    ----------
    domains : dict of int to str
        Names for the nodes, for the ledger; whoever knows them fills it.
    shelf : Shelf or None
        The streams that the server holds; None where nothing is coded.
    """

    _default = DomConfig()

    def __init__(
        self,
        grid: Grid,
        config: DomConfig | None = _default,
        *,
        uplink: header.Uplink = "one-shot",
        ledger: Ledger | None = None,
        store: Path | None = None,
        streams: Path | None = None,
    ) -> None:
        self._grid = grid
        self._uplink = uplink
        self._config = config
        self._sent: dict[str, _Sent] = {}
        self._again: dict[str, str] = {}
        self.ledger = ledger if ledger is not None else Ledger(None)
        self.domains: dict[int, str] = {}
        self.shelf = Shelf(config, ReferenceStore(store or references()), streams) if config is not None else None

    def set_run(self, run: Any) -> None:
        """Pass on to Flower's grid."""
        self._grid.set_run(run)

    @property
    def run(self) -> Any:
        """Flower's description of the run."""
        return self._grid.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Pass on to Flower's grid."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Pass on to Flower's grid."""
        return self._grid.get_node_ids()

    def get_nodes(self) -> Iterable[Any]:
        """Pass on to Flower's grid."""
        return self._grid.get_nodes()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Encode and send; what the grid rejects leaves a row with an error, and no identifier here."""
        return [sent for message in list(messages) if (sent := self._push(message)) is not None]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Fetch the replies that have come, decoded; a message that must be sent again has none yet."""
        waiting = [self._again.get(name, name) for name in message_ids]
        replies = (self._receive(reply) for reply in list(self._grid.pull_messages(waiting)))
        return [reply for reply in replies if reply is not None]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Send, and wait until all have answered or `timeout` seconds have passed; the late ones leave a row."""
        waiting = set(self.push_messages(messages))
        end = None if timeout is None else time.monotonic() + timeout
        replies: list[Message] = []
        while waiting and (end is None or time.monotonic() < end):
            news = list(self.pull_messages(waiting))
            waiting -= {reply.metadata.reply_to_message_id for reply in news}
            replies += news
            if waiting and not news:
                time.sleep(POLL_S)
        for name in waiting:
            self._give_up(name)
        return replies

    def _give_up(self, name: str) -> None:
        sent = self._sent.pop(self._again.pop(name, name), None)
        if sent is not None:
            self._write(sent.letter, error="no reply in time")

    def _write(self, letter: Letter, decode_s: dict[str, float] | None = None, *, error: str = "") -> None:
        for row in letter.rows(decode_s or {}, error=error):
            self.ledger.append(row)

    # Down -------------------------------------------------------------------------------------------------------------

    def _push(self, message: Message, *, original: str = "", tries: int = 1) -> str | None:
        node = message.metadata.dst_node_id
        content, parcels = (message.content, plain(message.content)) if self.shelf is None else self._pack(message)
        outgoing = Message(
            content,
            dst_node_id=node,
            message_type=message.metadata.message_type,
            ttl=message.metadata.ttl,
            group_id=message.metadata.group_id,
        )
        letter = self._letter(message, "down", message.content, content, parcels)
        sent = [name for name in self._grid.push_messages([outgoing]) if name]
        if not sent:
            self._write(letter, error="rejected by the grid")
            return None
        self._sent[sent[0]] = _Sent(message, outgoing, letter, original or sent[0], tries)
        if original:
            self._again[original] = sent[0]
        return original or sent[0]

    def _letter(
        self, message: Message, direction: str, raw: RecordDict, wire: RecordDict, parcels: tuple[Parcel, ...]
    ) -> Letter:
        group, node = message.metadata.group_id, message.metadata.dst_node_id
        return Letter(
            round=int(group) if group.isdecimal() else 0,
            node=node,
            domain=self.domains.get(node, ""),
            direction=direction,
            raw_bytes=records.weight(raw),
            wire_bytes=records.weight(wire),
            parcels=parcels,
        )

    def _pack(self, message: Message) -> tuple[RecordDict, tuple[Parcel, ...]]:
        assert self.shelf is not None
        packed: dict[str, ArrayRecord] = {}
        parcels: list[Parcel] = []
        for name, record in message.content.array_records.items():
            packed[name], parcel = self._pack_model(name, record, message.metadata.dst_node_id)
            parcels.append(parcel)
        down = header.Down(
            config=self.shelf.config if self._uplink == "stream" else self._config or self._default,
            uplink=self._uplink,
            streams={p.name: p.stream for p in parcels},
            bases={p.name: p.base for p in parcels if p.base},
            orders={name: records.order_of(record) for name, record in message.content.array_records.items()},
            have=self.shelf.have(),
        )
        content = records.replaced(message.content, packed)
        content[header.NAME] = down.record()
        return content, tuple(parcels)

    def _pack_model(self, name: str, record: ArrayRecord, node: int) -> tuple[ArrayRecord, Parcel]:
        assert self.shelf is not None
        start = time.perf_counter()
        stream = self.shelf.place(name, records.to_model(record))
        assert stream.newest is not None
        held = self.shelf.holds(node, stream.name)
        way = stream.way(held)
        packed = records.pack(way.payloads)
        base = link_of(0, way.payloads[0]).base if way.payloads else held
        parcel = Parcel(
            name=name,
            kind=way.kind,
            stream=stream.name,
            version=stream.number,
            base=base or "",
            digest=stream.newest.digest,
            raw_bytes=records.weight(record),
            wire_bytes=records.weight(packed),
            encode_s=time.perf_counter() - start,
        )
        return packed, parcel

    # Up ---------------------------------------------------------------------------------------------------------------

    def _receive(self, reply: Message) -> Message | None:
        sent = self._sent.pop(reply.metadata.reply_to_message_id)
        reply.metadata.__dict__["_reply_to_message_id"] = sent.original  # Flower has no setter for it
        if reply.has_error():
            self._write(sent.letter, error=reply.error.reason or f"error {reply.error.code}")
            return reply
        if self.shelf is None or header.NAME not in reply.content.config_records:
            self._write(sent.letter)
            self._write(self._letter(sent.message, "up", reply.content, reply.content, plain(reply.content)))
            return reply
        try:
            return self._unpack(reply, sent)
        except FedRetinaError as error:
            reason = f"{type(error).__name__}: {error}"
            letter = self._letter(sent.message, "up", RecordDict(), reply.content, ())
            self._write(sent.letter)
            self._write(letter, error=reason)
            return _failed(sent, reason)

    def _unpack(self, reply: Message, sent: _Sent) -> Message | None:
        assert self.shelf is not None
        node = sent.message.metadata.dst_node_id
        up = header.Up.read(reply.content.config_records[header.NAME])
        if up.lacking:
            return self._send_again(sent, up, reply)
        self._write(sent.letter, dict(up.decode_s))
        models: dict[str, ArrayRecord] = {}
        parcels: list[Parcel] = []
        seconds: dict[str, float] = {}
        for name, stream in up.streams.items():
            start = time.perf_counter()
            models[name], parcel = self._unpack_model(name, stream, reply.content, up, node)
            seconds[name] = time.perf_counter() - start
            parcels.append(parcel)
        self.shelf.acknowledge(node, dict(up.holds))
        content = records.replaced(header.without_header(reply.content), models)
        self._write(self._letter(sent.message, "up", content, reply.content, tuple(parcels)), seconds)
        reply.content = content
        return reply

    def _unpack_model(
        self, name: str, stream: str, content: RecordDict, up: header.Up, node: int
    ) -> tuple[ArrayRecord, Parcel]:
        assert self.shelf is not None
        packed = content.array_records[name]
        (payload,) = records.unpack(packed)
        base = up.bases.get(name, "")
        if stream:
            version = self.shelf.receive(stream, payload, node=node)
        else:
            version = self.shelf.one_shot(payload, base)
        record = records.to_record(version.model, up.orders.get(name, ()))
        parcel = Parcel(
            name=name,
            kind="delta" if base else "keyframe",
            stream=stream or name,
            version=self.shelf.stream(stream).number if stream else 0,
            base=base,
            digest=version.digest,
            raw_bytes=records.weight(record),
            wire_bytes=records.weight(packed),
            encode_s=up.encode_s.get(name, 0.0),
        )
        return record, parcel

    def _send_again(self, sent: _Sent, up: header.Up, reply: Message) -> Message | None:
        """Another way for a node that lacks a base: from what it says it holds, or from nothing."""
        assert self.shelf is not None
        node = sent.message.metadata.dst_node_id
        reason = f"{UnknownBase.__name__}: {', '.join(up.lacking)}"
        self._write(sent.letter, dict(up.decode_s), error=reason)
        self._write(self._letter(sent.message, "up", reply.content, reply.content, ()))
        self.shelf.held[node] = dict(up.holds) if sent.tries == 1 else {}
        again = self._push(sent.message, original=sent.original, tries=sent.tries + 1) if sent.tries < TRIES else None
        return _failed(sent, reason) if again is None else None


def _failed(sent: _Sent, reason: str) -> Message:
    reply = Message(Error(UNUSABLE_REPLY, reason), reply_to=sent.outgoing)
    reply.metadata.__dict__["_reply_to_message_id"] = sent.original
    return reply
