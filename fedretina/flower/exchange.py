"""Messages and their replies: pack, send, send again where a node could not decode, unpack, write ledger rows."""

import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from flwr.app import Error, Message, RecordDict

from fedretina import __version__
from fedretina.errors import Corrupt, FedRetinaError, TooNew
from fedretina.flower import header
from fedretina.flower.down import Batch, Legs, Packed, as_it_is
from fedretina.flower.legs import round_of
from fedretina.flower.parcels import MessageTraffic
from fedretina.flower.shelf import Shelf
from fedretina.flower.up import Unpacker
from fedretina.flower.weight import Way, weight_of_error, weight_of_message
from fedretina.ledger import Ledger

TRIES = 3  # as planned, from what the node says it holds, from nothing
UNUSABLE = 6  # Flower's ErrorCode.MOD_FAILED_PRECONDITION
EXPIRY_S = 1.0  # seconds between two searches for messages whose time to live has ended

REJECTED = "rejected by the grid"
LATE = "no reply in time"
EXPIRED = "no reply before its time to live ended"
NOT_DECODED = "the node could not decode"
NEVER_ACKNOWLEDGED = (
    "this node has never acknowledged a model over DoM: is dom_mod the FIRST mod of its ClientApp, mods=[dom_mod, ...]?"
)
VERSIONS = f"this server runs fedretina {__version__}: install the same version of fedretina on the node and the server"


@dataclass
class Sent:
    """A message that waits for its reply.

    Parameters
    ----------
    message : Message or None
        A copy of the strategy's message, as it was at the push; None if it will not be sent again.
    node, round : int
        Who received it, and in which round.
    moment : object
        See `Shelf.place`.
    ends : float
        When its time to live ends, in seconds since 1970.
    versions : mapping of str to str
        By stream: the version that the node holds once it has decoded the message.
    coded : bool
        Whether it went down with a DoM header.
    original : str
        The identifier that the strategy knows. A message that is sent again gets another one from Flower.
    tries : int
        How many times it was sent.
    late : bool
        Whether the ledger has the row `LATE` for it.
    """

    message: Message | None
    node: int
    round: int
    moment: object
    ends: float
    versions: Mapping[str, str]
    coded: bool
    original: str = ""
    tries: int = 1
    late: bool = False


@dataclass(frozen=True)
class _Outgoing:
    """A message as it travels, what to remember of it, and what it leaves in the ledger."""

    message: Message
    sent: Sent
    traffic: MessageTraffic


@dataclass
class Exchange:
    """The messages that wait for a reply, by Flower's identifiers.

    A message waits until its reply is pulled, or until its time to live (``created_at + ttl``) ends.

    Parameters
    ----------
    shelf : Shelf
        The streams.
    unpacker : Unpacker
        Reads replies.
    legs : callable
        Tells how models travel, by kind of message and round.
    push : callable
        Gives messages to Flower's grid, and returns their identifiers as it does.
    ledger : Ledger
        Where the rows go.
    domains : dict of int to str
        Names for the nodes, for the ledger.

    Attributes
    ----------
    waiting : dict of str to Sent
        The messages without a reply so far.
    resent : dict of str to str
        For messages that were sent again: Flower's newest identifier, by the strategy's.
    acknowledged : set of int
        The nodes that answered a coded message with a DoM header.
    """

    shelf: Shelf
    unpacker: Unpacker
    legs: Callable[[str, int], Legs]
    push: Callable[[list[Message]], Sequence[str | None]]
    ledger: Ledger
    domains: dict[int, str] = field(default_factory=dict)
    waiting: dict[str, Sent] = field(default_factory=dict, init=False)
    resent: dict[str, str] = field(default_factory=dict, init=False)
    acknowledged: set[int] = field(default_factory=set, init=False)
    _expiry_checked: float = field(default=0.0, init=False)

    def send(self, messages: Sequence[Message], *, moment: object) -> list[str | None]:
        """Pack and push; return the identifiers as Flower's grid returns them, and set them on the messages."""
        copies: dict[int, Any] = {}
        mine = [_snapshot(message, copies) for message in messages]
        batch = Batch(self.shelf, moment, mine)
        outgoing = [self._pack(message, batch, moment) for message in mine]
        identifiers = self._push(outgoing)
        for message, each in zip(messages, outgoing, strict=True):
            message.metadata.__dict__["_message_id"] = each.message.metadata.message_id  # Flower has no setter for it
        return identifiers

    def current_id(self, identifier: str) -> str:
        """Return Flower's identifier of a message: another than the strategy's if the message was sent again."""
        return self.resent.get(identifier, identifier)

    def give_up(self, identifier: str) -> None:
        """Write that no reply came in time. The message is not sent again, but a late reply can still be pulled."""
        sent = self.waiting.get(self.current_id(identifier))
        if sent is not None and not sent.late:
            self._write_failure(sent, LATE)
            sent.late, sent.message = True, None

    def drop_expired(self) -> None:
        """Forget the messages whose time to live has ended, and write that they got no reply."""
        now = time.time()
        if now - self._expiry_checked < EXPIRY_S:
            return
        self._expiry_checked = now
        for identifier in [identifier for identifier, sent in self.waiting.items() if sent.ends < now]:
            sent = self.waiting.pop(identifier)
            self.resent.pop(sent.original, None)
            if not sent.late:
                self._write_failure(sent, EXPIRED)

    def receive(self, reply: Message) -> Message | None:
        """Turn a reply into what the strategy sees; None if the message was sent again instead."""
        sent = self.waiting.pop(reply.metadata.reply_to_message_id, None)
        if sent is None:
            return reply  # to none of our messages, or to one whose time to live has ended
        self.resent.pop(sent.original, None)
        reply.metadata.__dict__["_reply_to_message_id"] = sent.original  # Flower has no setter for it
        if reply.has_error():
            return self._receive_error(reply, sent)
        if header.NAME not in reply.content.config_records:
            # An app that reads what it cannot decode fails. So the node holds what was coded, and no header need say so.
            self.shelf.acknowledge(sent.node, dict(sent.versions))
            self._write(self._traffic(sent, "up", as_it_is(reply.content, "up")))
            return reply
        try:
            return self._unpack(reply, sent)
        except FedRetinaError as error:
            reason = f"{type(error).__name__}: {error}"
            self._write_failure(sent, reason, weight_of_message(reply.content, "up"))
            return _with_error(reply, UNUSABLE, reason)

    def _pack(self, message: Message, batch: Batch, moment: object) -> _Outgoing:
        metadata, number = message.metadata, round_of(message)
        packed = batch.pack(message, self.legs(metadata.message_type, number))
        coded = header.NAME in packed.content.config_records
        sent = Sent(
            message=message if coded else None,
            node=metadata.dst_node_id,
            round=number,
            moment=moment,
            ends=metadata.created_at + metadata.ttl,
            versions=packed.versions,
            coded=coded,
        )
        return _Outgoing(_with_content(message, packed.content), sent, self._traffic(sent, "down", packed))

    def _push(self, outgoing: Sequence[_Outgoing]) -> list[str | None]:
        """Push, and write the rows; messages that the grid took wait for their replies from now on."""
        try:
            identifiers = list(self.push([each.message for each in outgoing]))
        except Exception as error:
            for each in outgoing:
                self._write_failure(each.sent, f"the push failed: {error!r}", way="down")
            raise
        taken = {identifier for identifier in identifiers if identifier}
        of_each: list[str | None] = identifiers
        if len(identifiers) != len(outgoing):  # in a simulation, the identifiers of rejected messages are missing
            of_each = [each.message.metadata.message_id for each in outgoing]
        for identifier, each in zip(of_each, outgoing, strict=True):
            if not identifier or identifier not in taken:
                self._write_failure(each.sent, REJECTED, way="down")
            elif identifier not in self.waiting:  # over HTTP, equal messages have one identifier and travel once
                self._wait_for(identifier, each)
        return identifiers

    def _wait_for(self, identifier: str, outgoing: _Outgoing) -> None:
        sent = outgoing.sent
        if sent.original:
            self.resent[sent.original] = identifier
        sent.original = sent.original or identifier
        self.waiting[identifier] = sent
        self._write(outgoing.traffic)

    def _unpack(self, reply: Message, sent: Sent) -> Message | None:
        up = _read_header(reply, sent.node)
        if sent.coded:
            self.acknowledged.add(sent.node)
        if up.missing:
            return self._send_again(sent, up, reply)
        packed, seconds = self.unpacker.unpack(reply.content, up, node=sent.node)
        self._write(self._traffic(sent, "up", packed), seconds)
        reply.content = packed.content
        return reply

    def _send_again(self, sent: Sent, up: header.Up, reply: Message) -> Message | None:
        """Send in another way to a node that could not decode: from what it says it holds, or from nothing."""
        reason = f"{NOT_DECODED} {'; '.join(f'{name}: {why}' for name, why in up.missing.items())}"
        self._write_failure(sent, reason, weight_of_message(reply.content, "up"))
        self.shelf.held[sent.node] = dict(up.holds) if sent.tries == 1 else {}
        now = time.time()
        if sent.message is not None and sent.tries < TRIES and now < sent.ends:
            metadata = sent.message.metadata  # over HTTP, a message with equal metadata and content would be the same
            metadata.created_at, metadata.ttl = now, sent.ends - now
            outgoing = self._pack(sent.message, Batch(self.shelf, sent.moment), sent.moment)
            outgoing.sent.original, outgoing.sent.tries = sent.original, sent.tries + 1
            if any(self._push([outgoing])):
                return None
        return _with_error(reply, UNUSABLE, reason)

    def _receive_error(self, reply: Message, sent: Sent) -> Message:
        """Write the row of an error reply, and add to its reason what the user can do."""
        from_node = reply.metadata.src_node_id == sent.node  # not from the SuperLink, which answers for nodes that are gone
        reason = reply.error.reason or f"error {reply.error.code}"
        remedy = self._remedy(reason, sent) if from_node else ""
        reason = f"{reason} ({remedy})" if remedy else reason
        self._write_failure(sent, reason, weight_of_error(reply) if from_node else 0)
        return _with_error(reply, reply.error.code, reason) if remedy else reply

    def _remedy(self, reason: str, sent: Sent) -> str:
        if not sent.coded:
            return ""
        if TooNew.__name__ in reason or "DoM header" in reason:
            return VERSIONS
        return "" if sent.node in self.acknowledged else NEVER_ACKNOWLEDGED

    def _traffic(self, sent: Sent, way: Way, packed: Packed) -> MessageTraffic:
        return MessageTraffic(
            round=sent.round,
            node=sent.node,
            domain=self.domains.get(sent.node, ""),
            direction=way,
            raw_bytes=packed.raw_bytes,
            wire_bytes=packed.wire_bytes,
            parcels=packed.parcels,
        )

    def _write(self, traffic: MessageTraffic, decode_s: dict[str, float] | None = None, *, error: str = "") -> None:
        for row in traffic.rows(decode_s or {}, error=error):
            self.ledger.append(row)

    def _write_failure(self, sent: Sent, error: str, wire_bytes: int = 0, *, way: Way = "up") -> None:
        """Write one row of kind "control": plain Flower would have sent nothing, or nobody knows what."""
        nothing = Packed(content=RecordDict(), parcels=(), raw_bytes=0, wire_bytes=wire_bytes)
        self._write(self._traffic(sent, way, nothing), error=error)


def _read_header(reply: Message, node: int) -> header.Up:
    try:
        return header.Up.read(reply.content.config_records[header.NAME])
    except (Corrupt, TooNew) as error:
        raise type(error)(f"the DoM header of node {node} cannot be read: {error}; {VERSIONS}") from error


def _snapshot(message: Message, copies: dict[int, Any]) -> Message:
    """Copy a message and its records, so that the caller may change them after the push.

    `copies` has the copies by the identity of what was copied: what messages share, their copies share too.
    """
    content = message.content
    if id(content) not in copies:
        for record in content.values():
            copies.setdefault(id(record), record.copy())
        copies[id(content)] = RecordDict({name: copies[id(record)] for name, record in content.items()})
    return _with_content(message, copies[id(content)])


def _with_content(message: Message, content: RecordDict) -> Message:
    """Copy a message, all its metadata included, with another content."""
    made = copy(message)
    made.__dict__["_metadata"] = copy(message.metadata)
    made.content = content
    return made


def _with_error(reply: Message, code: int, reason: str) -> Message:
    """Copy a reply, its metadata included, with an error in place of its content."""
    made = Message(Error(code, reason), reply_to=reply)
    made.__dict__["_metadata"] = reply.metadata
    return made
