"""Messages and their replies: packed, sent again where a node could not decode, unpacked, written into the ledger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from flwr.app import Error, Message

from fedretina.errors import FedRetinaError
from fedretina.flower import header
from fedretina.flower.down import Batch, Legs, Packed, as_it_is
from fedretina.flower.legs import round_of
from fedretina.flower.parcels import Letter
from fedretina.flower.shelf import Shelf
from fedretina.flower.up import Unpacker
from fedretina.flower.weight import Way, weight_of_message
from fedretina.ledger import Ledger

TRIES = 3  # as planned, from what the node says it holds, from nothing
UNUSABLE = 6  # Flower's ErrorCode.MOD_FAILED_PRECONDITION
_ORDER = "if this ClientApp has several mods, dom_mod must come first: mods=[dom_mod, ...]"


@dataclass
class Sent:
    """A message under way: as the strategy made it, as it was sent, the name that the strategy knows it by."""

    message: Message
    outgoing: Message
    letter: Letter
    moment: object
    versions: Mapping[str, str]
    original: str = ""
    tries: int = 1


@dataclass
class Exchange:
    """What is under way, by Flower's names of the messages.

    Parameters
    ----------
    shelf : Shelf
        The streams.
    unpacker : Unpacker
        Reads replies.
    legs : callable
        Tells how models travel, by kind of message and round.
    push : callable
        Gives messages to Flower's grid, and returns their names as it does.
    ledger : Ledger
        Where the rows go.
    domains : dict of int to str
        Names for the nodes, for the ledger.
    """

    shelf: Shelf
    unpacker: Unpacker
    legs: Callable[[str, int], Legs]
    push: Callable[[list[Message]], Sequence[str | None]]
    ledger: Ledger
    domains: dict[int, str] = field(default_factory=dict)
    under_way: dict[str, Sent] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)

    def send(self, messages: Sequence[Message], *, moment: object) -> list[str]:
        """Pack and send; the names of those that Flower's grid took."""
        batch = Batch(self.shelf, moment, messages)
        return [sent.original for sent in self._push([self._pack(message, batch, moment) for message in messages])]

    def waiting_for(self, name: str) -> str:
        """Tell under which name Flower knows a message now: it may have been sent again."""
        return self.again.get(name, name)

    def give_up(self, name: str) -> None:
        """Write that no reply came in time."""
        sent = self.under_way.pop(self.again.pop(name, name), None)
        if sent is not None:
            self._write(sent.letter, error="no reply in time")

    def receive(self, reply: Message) -> Message | None:
        """Make of a reply what the strategy sees; None if the message was sent again instead."""
        sent = self.under_way.pop(reply.metadata.reply_to_message_id, None)
        if sent is None:
            return reply  # to none of ours, or to one that was given up
        self.again.pop(sent.original, None)
        reply.metadata.__dict__["_reply_to_message_id"] = sent.original  # Flower has no setter for it
        if reply.has_error():
            self._write(sent.letter, error=reply.error.reason or f"error {reply.error.code}")
            return _with_remedy(reply, sent) if reply.error.code == UNUSABLE else reply
        if header.NAME not in reply.content.config_records:
            # The app read what was coded, or it would have failed: so the node holds it, and a header need not say so.
            self.shelf.acknowledge(sent.message.metadata.dst_node_id, dict(sent.versions))
            self._write(sent.letter)
            self._write(self._letter(sent.message, "up", as_it_is(reply.content, "up")))
            return reply
        try:
            return self._unpack(reply, sent)
        except FedRetinaError as error:
            reason = f"{type(error).__name__}: {error}"
            self._write(sent.letter)
            self._write(self._letter(sent.message, "up", _only_weighed(reply)), error=reason)
            return _failed(sent, reason)

    def _pack(self, message: Message, batch: Batch, moment: object) -> Sent:
        told = message.metadata
        packed = batch.pack(message, self.legs(told.message_type, round_of(message)))
        outgoing = Message(
            packed.content,
            dst_node_id=told.dst_node_id,
            message_type=told.message_type,
            ttl=told.ttl,
            group_id=told.group_id,
        )
        return Sent(message, outgoing, self._letter(message, "down", packed), moment, packed.versions)

    def _push(self, wanted: Sequence[Sent]) -> list[Sent]:
        names = list(self.push([each.outgoing for each in wanted]))
        taken = {name for name in names if name}
        if len(names) != len(wanted):  # in a simulation rejected messages are missing; over HTTP they are None
            names = [each.outgoing.metadata.message_id for each in wanted]
        sent = []
        for name, each in zip(names, wanted, strict=True):
            if name is None or name not in taken:
                self._write(each.letter, error="rejected by the grid")
                continue
            if each.original:
                self.again[each.original] = name
            each.original = each.original or name
            self.under_way[name] = each
            sent.append(each)
        return sent

    def _unpack(self, reply: Message, sent: Sent) -> Message | None:
        up = header.Up.read(reply.content.config_records[header.NAME])
        if up.missing:
            return self._send_again(sent, up, reply)
        packed, seconds = self.unpacker.unpack(reply.content, up, node=sent.message.metadata.dst_node_id)
        self._write(sent.letter, _decode_seconds(sent, up))
        self._write(self._letter(sent.message, "up", packed), seconds)
        reply.content = packed.content
        return reply

    def _send_again(self, sent: Sent, up: header.Up, reply: Message) -> Message | None:
        """Another way for a node that could not decode: from what it says it holds, or from nothing."""
        reason = "; ".join(f"{name}: {why}" for name, why in up.missing.items())
        self._write(sent.letter, _decode_seconds(sent, up), error=reason)
        self._write(self._letter(sent.message, "up", _only_weighed(reply)))
        self.shelf.held[sent.message.metadata.dst_node_id] = dict(up.holds) if sent.tries == 1 else {}
        if sent.tries < TRIES:
            again = self._pack(sent.message, Batch(self.shelf, sent.moment), sent.moment)
            again.original, again.tries = sent.original, sent.tries + 1
            if self._push([again]):
                return None
        return _failed(sent, reason)

    def _letter(self, message: Message, direction: Way, packed: Packed) -> Letter:
        node = message.metadata.dst_node_id
        return Letter(
            round=round_of(message),
            node=node,
            domain=self.domains.get(node, ""),
            direction=direction,
            raw_bytes=packed.raw_bytes,
            wire_bytes=packed.wire_bytes,
            parcels=packed.parcels,
        )

    def _write(self, letter: Letter, decode_s: dict[str, float] | None = None, *, error: str = "") -> None:
        for row in letter.rows(decode_s or {}, error=error):
            self.ledger.append(row)


def _decode_seconds(sent: Sent, up: header.Up) -> dict[str, float]:
    """Give the node's seconds to the first of the message's models."""
    return {parcel.name: up.decode_s for parcel in sent.letter.parcels[:1]}


def _only_weighed(reply: Message) -> Packed:
    """Describe a reply that plain Flower would not have sent, or of which nobody knows what it would have been."""
    return Packed(content=reply.content, parcels=(), raw_bytes=0, wire_bytes=weight_of_message(reply.content, "up"))


def _failed(sent: Sent, reason: str) -> Message:
    reply = Message(Error(UNUSABLE, reason), reply_to=sent.outgoing)
    reply.metadata.__dict__["_reply_to_message_id"] = sent.original
    return reply


def _with_remedy(reply: Message, sent: Sent) -> Message:
    """A mod that stands before dom_mod fails on what it was not meant to see, and cannot say why."""
    told = _failed(sent, f"{reply.error.reason} ({_ORDER})")
    told.metadata.__dict__["_src_node_id"] = reply.metadata.src_node_id
    return told
