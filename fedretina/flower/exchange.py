"""Messages and their replies: pack, send, resend to nodes that could not decode, unpack, write rows into the ledger."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from flwr.app import Message, RecordDict

from fedretina.errors import Corrupt, FedRetinaError
from fedretina.flower import header
from fedretina.flower.contents import ContentCopy, copy_contents
from fedretina.flower.failures import (
    EXPIRED,
    LATE,
    REJECTED,
    UNUSABLE_REPLY,
    describe_missing,
    error_reply,
    find_remedy,
    read_reply_header,
)
from fedretina.flower.hints import PrecisionHints
from fedretina.flower.incoming import ReplyUnpacker
from fedretina.flower.nodes import NodeDirectory
from fedretina.flower.outgoing import MessagePacker, PackedContent, Recipient, pack_plain
from fedretina.flower.sent import SentMessage, copy_with_content
from fedretina.flower.server_state import ServerState
from fedretina.flower.server_trust import ServerTrust
from fedretina.flower.sizes import Direction, error_size, message_size
from fedretina.flower.traffic import MessageTraffic
from fedretina.flower.transfers import ExchangeOptions, read_round
from fedretina.flower.trust import check_signed
from fedretina.ledger import Ledger

MAX_SENDS = 3
"""How often a message is sent: to the acknowledged versions, to the versions that the node reports, as whole models."""
EXPIRY_CHECK_S = 1.0
"""Seconds between two searches for messages whose time to live has ended."""


@dataclass(frozen=True)
class _Outgoing:
    """A message as it travels, what to remember of it, and its rows in the ledger."""

    message: Message
    sent: SentMessage
    traffic: MessageTraffic


@dataclass
class Exchange:
    """Sends messages and receives replies; knows the messages that wait for one, by Flower's identifiers.

    A message waits until its reply is pulled, or until its time to live (``created_at + ttl``) ends.

    Parameters
    ----------
    state : ServerState
        The streams, and what nodes acknowledged.
    unpacker : ReplyUnpacker
        Reads replies.
    options : callable
        Takes message type and round, returns how models travel.
    push : callable
        Gives messages to Flower's grid, and returns the identifiers that the grid returns.
    ledger : Ledger
        Gets a row for each model in a message.
    trust : ServerTrust or None, default None
        Signs what is sent, and checks reports.
    nodes : NodeDirectory
        The nodes' domains, for the ledger.

    Attributes
    ----------
    waiting : dict of str to SentMessage
        The messages without a reply so far.
    resent : dict of str to str
        For messages that were sent again: Flower's newest identifier, by the one that the strategy knows.
    acknowledged : set of int
        The nodes that answered a coded message with a DoM header.
    """

    state: ServerState
    unpacker: ReplyUnpacker
    options: Callable[[str, int], ExchangeOptions]
    push: Callable[[list[Message]], Sequence[str | None]]
    ledger: Ledger
    trust: ServerTrust | None = None
    nodes: NodeDirectory = field(default_factory=NodeDirectory)
    waiting: dict[str, SentMessage] = field(default_factory=dict, init=False)
    resent: dict[str, str] = field(default_factory=dict, init=False)
    acknowledged: set[int] = field(default_factory=set, init=False)
    _expiry_checked: float = field(default=0.0, init=False)
    _hints: PrecisionHints = field(default_factory=PrecisionHints, init=False)

    def send(self, messages: Sequence[Message], *, round_key: object) -> list[str | None]:
        """Pack and push; return the identifiers as Flower's grid returns them, and set them on the messages."""
        outgoing = self._pack_all(messages, round_key)
        identifiers = self._push(outgoing)
        for message, each in zip(messages, outgoing, strict=True):
            message.metadata.__dict__["_message_id"] = each.message.metadata.message_id  # Flower has no setter for it
        return identifiers

    def current_id(self, identifier: str) -> str:
        """Return Flower's identifier of a message: another than the strategy's if the message was sent again."""
        return self.resent.get(identifier, identifier)

    def mark_late(self, identifier: str) -> None:
        """Write that no reply came in time. The message is not sent again, but its reply can still be pulled."""
        sent = self.waiting.get(self.current_id(identifier))
        if sent is not None and not sent.late:
            self._write_failure(sent, LATE)
            sent.late, sent.message = True, None

    def drop_expired(self) -> None:
        """Forget the messages whose time to live has ended, and write that no reply came."""
        now = time.time()
        if now - self._expiry_checked < EXPIRY_CHECK_S:
            return
        self._expiry_checked = now
        for identifier in [identifier for identifier, sent in self.waiting.items() if sent.expires_at < now]:
            sent = self.waiting.pop(identifier)
            self.resent.pop(sent.first_id, None)
            if not sent.late:
                self._write_failure(sent, EXPIRED)

    def receive(self, reply: Message) -> Message | None:
        """Return a reply as the strategy sees it; None if the message was sent again instead."""
        sent = self.waiting.pop(reply.metadata.reply_to_message_id, None)
        if sent is None:
            return reply  # to a message of another grid, or to one whose time to live has ended
        self.resent.pop(sent.first_id, None)
        reply.metadata.__dict__["_reply_to_message_id"] = sent.first_id  # Flower has no setter for it
        if reply.has_error():
            return self._receive_error(reply, sent)
        try:
            return self._receive_content(reply, sent)
        except FedRetinaError as error:
            reason = f"{type(error).__name__}: {error}"
            self._write_failure(sent, reason, message_size(reply.content, "up"))
            return error_reply(reply, UNUSABLE_REPLY, reason)

    def _receive_content(self, reply: Message, sent: SentMessage) -> Message | None:
        if header.NAME not in reply.content.config_records:
            if self.trust is not None:
                check_signed(reply.content, ())
            # An app fails if it reads a model that was not decoded. So the node has decoded the message, without saying so.
            self.state.acknowledgements.add(sent.node, sent.versions)
            self._write(self._traffic(sent, "up", pack_plain(reply.content, "up")))
            return reply
        return self._unpack(reply, sent)

    def _pack_all(self, messages: Sequence[Message], round_key: object) -> list[_Outgoing]:
        """Pack messages. If a relayed version is corrupt, its stream discards it; then the version before it is packed."""
        streams = self.state.streams
        while True:
            packer = MessagePacker(
                streams, self.state.acknowledgements, round_key, self._hints, self.trust, self.state.sealed
            )
            discarded = streams.discarded
            contents = copy_contents(messages)
            try:
                return [self._pack(message, content, packer) for message, content in zip(messages, contents, strict=True)]
            except Corrupt:
                if streams.discarded == discarded:
                    raise

    def _pack(self, message: Message, content: ContentCopy, packer: MessagePacker) -> _Outgoing:
        metadata, number = message.metadata, read_round(message)
        options = self.options(metadata.message_type, number)
        packed = packer.pack(content, Recipient(metadata.dst_node_id, metadata.message_type, options))
        coded = header.NAME in packed.content.config_records
        sent = SentMessage(
            message=copy_with_content(message, content.content) if coded else None,
            node=metadata.dst_node_id,
            round=number,
            round_key=packer.round_key,
            expires_at=metadata.created_at + metadata.ttl,
            versions=packed.versions,
            coded=coded,
        )
        return _Outgoing(copy_with_content(message, packed.content), sent, self._traffic(sent, "down", packed))

    def _push(self, outgoing: Sequence[_Outgoing]) -> list[str | None]:
        """Push messages, and write their rows; those that the grid accepted wait for their replies."""
        try:
            identifiers = list(self.push([each.message for each in outgoing]))
        except Exception as error:
            for each in outgoing:
                self._write_failure(each.sent, f"the push failed: {error!r}", direction="down")
            raise
        accepted = {identifier for identifier in identifiers if identifier}
        by_message: list[str | None] = identifiers
        if len(identifiers) != len(outgoing):  # in a simulation, the identifiers of rejected messages are missing
            by_message = [each.message.metadata.message_id for each in outgoing]
        for identifier, each in zip(by_message, outgoing, strict=True):
            if not identifier or identifier not in accepted:
                self._write_failure(each.sent, REJECTED, direction="down")
            elif identifier not in self.waiting:  # over HTTP, equal messages have one identifier and travel once
                self._wait_for(identifier, each)
        return identifiers

    def _wait_for(self, identifier: str, outgoing: _Outgoing) -> None:
        sent = outgoing.sent
        if sent.first_id:
            self.resent[sent.first_id] = identifier
        sent.first_id = sent.first_id or identifier
        self.waiting[identifier] = sent
        self._write(outgoing.traffic)

    def _unpack(self, reply: Message, sent: SentMessage) -> Message | None:
        up = read_reply_header(reply, sent.node)
        if self.trust is not None:
            self.trust.hear(sent.node, up.trust)
        if sent.coded:
            self.acknowledged.add(sent.node)
        if up.missing:
            return self._resend(sent, up, reply)
        packed, seconds = self.unpacker.unpack(reply.content, up, node=sent.node)
        self._write(self._traffic(sent, "up", packed), seconds)
        reply.content = packed.content
        return reply

    def _resend(self, sent: SentMessage, up: header.UpHeader, reply: Message) -> Message | None:
        """Send other payloads to a node that could not decode: for the versions that it reports, or whole models."""
        reason = describe_missing(up.missing)
        self._write_failure(sent, reason, message_size(reply.content, "up"))
        self.state.acknowledgements.replace(sent.node, up.held if sent.sends == 1 else {})
        self.state.streams.check_relayed(sent.versions)
        if self.state.sealed is not None:
            self.state.sealed.note_refusals(sent.node, sent.versions, up.missing)
        now = time.time()
        if sent.message is not None and sent.sends < MAX_SENDS and now < sent.expires_at:
            metadata = sent.message.metadata  # over HTTP, equal metadata and content would make it the same message
            metadata.created_at, metadata.ttl = now, sent.expires_at - now
            (outgoing,) = self._pack_all([sent.message], sent.round_key)
            outgoing.sent.first_id, outgoing.sent.sends = sent.first_id, sent.sends + 1
            if any(self._push([outgoing])):
                return None
        return error_reply(reply, UNUSABLE_REPLY, reason)

    def _receive_error(self, reply: Message, sent: SentMessage) -> Message:
        """Write the row of an error reply, and add to its reason what to do."""
        from_node = reply.metadata.src_node_id == sent.node  # the SuperLink answers for nodes that are gone
        reason = reply.error.reason or f"error {reply.error.code}"
        remedy = find_remedy(reason, acknowledged=sent.node in self.acknowledged) if from_node and sent.coded else ""
        reason = f"{reason} ({remedy})" if remedy else reason
        self._write_failure(sent, reason, error_size(reply) if from_node else 0)
        return error_reply(reply, reply.error.code, reason) if remedy else reply

    def _traffic(self, sent: SentMessage, direction: Direction, packed: PackedContent) -> MessageTraffic:
        return MessageTraffic(
            round=sent.round,
            node=sent.node,
            domain=self.nodes.label(sent.node),
            direction=direction,
            raw_bytes=packed.raw_bytes,
            wire_bytes=packed.wire_bytes,
            records=packed.records,
        )

    def _write(self, traffic: MessageTraffic, decode_s: dict[str, float] | None = None, *, error: str = "") -> None:
        for row in traffic.rows(decode_s or {}, error=error):
            self.ledger.append(row)
        if self.trust is not None:
            self.trust.count_bytes(traffic.node, traffic.domain, traffic.wire_bytes)

    def _write_failure(self, sent: SentMessage, error: str, wire_bytes: int = 0, *, direction: Direction = "up") -> None:
        """Write one row of kind "control", with 0 raw bytes: what plain Flower would have sent is not known."""
        nothing = PackedContent(content=RecordDict(), records=(), raw_bytes=0, wire_bytes=wire_bytes)
        self._write(self._traffic(sent, direction, nothing), error=error)
