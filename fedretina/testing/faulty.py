"""A grid whose nodes and messages fail where a test wants them to."""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from flwr.app import Error, Message, RecordDict
from flwr.clientapp import ClientApp

from fedretina.errors import BadArgument
from fedretina.flower import FAILED
from fedretina.testing.damage import flip_bits
from fedretina.testing.local import LocalGrid

FAULTS = {
    "fails": "the node fails before it runs the app",
    "crashes": "the node runs the app, then fails and loses the changes to its context",
    "late": "the reply comes after the timeout",
    "store lost": "the node loses its models",
    "restarted": "the node loses its context",
    "damaged down": "a bit of the message is flipped",
    "damaged up": "a bit of the reply is flipped",
    "reordered": "the node gets its message after all others",
}
"""The faults that `FaultyGrid` knows, and what happens."""

FAILURES = {"fails", "crashes", "late", "damaged up"}
"""Faults after which a message counts as failed under plain Flower too."""


class FaultyGrid(LocalGrid):
    """A `LocalGrid` with faults by round and node; replies come in a random order, a few at a time.

    Every fault happens once to a message of a round; if the message is sent again, nothing happens to it. Faults that make a
    message fail happen to "train" messages only. Evaluation loses no reply, so runs with and without DoM can be compared.

    Parameters
    ----------
    app : ClientApp
        The app that all nodes run.
    nodes : int
        Number of nodes. Their identifiers are 100, 101, ...
    faults : callable
        Takes round and node, returns names of `FAULTS`. Messages have their round as "server-round" in the record "config".
    stores : callable, optional
        Takes a node, returns the folder of its models. The fault "store lost" needs it.
    plain : bool, default False
        Whether only those faults happen that plain Flower has too; for the run without DoM.
    seed : int, default 0
        Seed of the order of replies.

    Attributes
    ----------
    injected : Counter of str
        How often each fault happened.

    Raises
    ------
    BadArgument
        When a message is pushed: "store lost" without `stores`.

    Examples
    --------
    Node 101 fails in round 1:

    >>> from flwr.app import ConfigRecord
    >>> app = ClientApp()
    >>> @app.train()
    ... def train(message, context):
    ...     return Message(RecordDict(), reply_to=message)
    >>> grid = FaultyGrid(app, 2, lambda number, node: ["fails"] if (number, node) == (1, 101) else [])
    >>> def send(number):
    ...     content = RecordDict({"config": ConfigRecord({"server-round": number})})
    ...     return grid.send_and_receive(grid.create_message(content, "train", node, "") for node in grid.get_node_ids())
    >>> [reply.has_error() for reply in send(1)], [reply.has_error() for reply in send(2)]
    ([False, True], [False, False])
    >>> grid.injected["fails"]
    1
    """

    def __init__(
        self,
        app: ClientApp,
        nodes: int,
        faults: Callable[[int, int], Iterable[str]],
        *,
        stores: Callable[[int], Path] | None = None,
        plain: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(app, nodes)
        self.faults, self.stores, self.plain = faults, stores, plain
        self.injected: Counter[str] = Counter()
        self.late: set[str] = set()
        self._random = random.Random(seed)
        self._seen: set[tuple[int, int, str]] = set()

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Send messages to the nodes, those with the fault "reordered" last; return the messages' identifiers."""
        messages = list(messages)
        last = [m for m in messages if "reordered" in self._pending(m)]
        self.injected["reordered"] += len(last)
        super().push_messages([m for m in messages if m not in last] + last)
        return [m.metadata.message_id for m in messages]

    def answer(self, message: Message, number: int) -> Message:
        """Run the app on a message, with the faults of its round and node."""
        pending = self._pending(message)
        self._seen.add(_key(message))
        content = message.content
        arrived = flip_bits(content) if "damaged down" in pending else content
        invisible = {"reordered", "damaged up"} | ({"damaged down"} if arrived == content else set())
        self.injected.update(pending - invisible)
        if "fails" in pending or (self.plain and pending & FAILURES):
            return Message(Error(FAILED, "node is gone"), reply_to=message)
        if self.plain:
            return super().answer(message, number)
        self._lose_state(message.metadata.dst_node_id, pending)
        message.content = arrived
        state = self.contexts[message.metadata.dst_node_id].state.copy()
        reply = super().answer(message, number)
        message.content = content
        return self._returned(message, reply, pending, state)

    def _lose_state(self, node: int, pending: set[str]) -> None:
        if "store lost" in pending:
            if self.stores is None:
                raise BadArgument(f"the fault 'store lost' of node {node} needs the folder of its models; give `stores`")
            shutil.rmtree(self.stores(node), ignore_errors=True)
        if "restarted" in pending:
            self.contexts[node].state = RecordDict()

    def _returned(self, message: Message, reply: Message, pending: set[str], state: RecordDict) -> Message:
        """Return the reply that the server gets; `state` is the state of the node before the app ran."""
        if "crashes" in pending:
            self.contexts[message.metadata.dst_node_id].state = state
            return Message(Error(FAILED, "node crashed"), reply_to=message)
        if self._damages_reply(message, reply):
            reply.content = flip_bits(reply.content)
        if "late" in pending:
            self.late.add(message.metadata.message_id)
        return reply

    def _damages_reply(self, message: Message, reply: Message) -> bool:
        """Return whether a reply is damaged: the first one with a model is (a node that cannot decode sends none)."""
        number, node, kind = _key(message)
        models = kind == "train" and reply.has_content() and len(reply.content.array_records)
        if not models or "damaged up" not in self.faults(number, node) or (number, node, "up") in self._seen:
            return False
        self._seen.add((number, node, "up"))
        self.injected["damaged up"] += 1
        return True

    def _pending(self, message: Message) -> set[str]:
        """Return the faults that have not yet happened to a message."""
        number, node, kind = _key(message)
        if (number, node, kind) in self._seen:
            return set()
        faults = set(self.faults(number, node))
        return faults if kind == "train" else faults - FAILURES

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return about half of the replies that are ready, in a random order; late ones never come."""
        ready = [name for name in message_ids if name not in self.late and name in self.replies]
        self._random.shuffle(ready)
        return super().pull_messages(ready[: max(1, len(ready) // 2)])

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Push messages and return all replies, late ones too, in the order of the messages."""
        names = self.push_messages(messages)
        return [reply for name in names for reply in LocalGrid.pull_messages(self, [name])]


def _key(message: Message) -> tuple[int, int, str]:
    """Return a message's round, node and type."""
    number: Any = message.content.config_records["config"]["server-round"]
    return int(number), message.metadata.dst_node_id, message.metadata.message_type
