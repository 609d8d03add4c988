"""A grid in this process: an app answers at once, every node with a context of its own. Ray takes 17 s to start.

`FaultyGrid` is one in which things go wrong, as asked for by round and node.
"""

import itertools
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import flwr.supercore.task_identity as identity
from flwr.app import Array, ArrayRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

SERVER = 1


class LocalGrid(Grid):
    """`failing` names calls (counted from 0) at which the node breaks instead of answering."""

    def __init__(self, app: ClientApp, nodes: int, *, run_config=None, failing: Iterable[int] = ()) -> None:
        identity.TaskIdentity.run_id, identity.TaskIdentity.node_id, identity.TaskIdentity.task_id = 1, SERVER, 1
        self.app, self.failing = app, set(failing)
        self.contexts = {
            100 + i: Context(1, 100 + i, {"partition-id": i, "num-partitions": nodes}, RecordDict(), run_config or {})
            for i in range(nodes)
        }
        self.calls = itertools.count()
        self.sent: list[Message] = []
        self.replies: dict[str, Message] = {}

    run = SimpleNamespace(run_id=1)

    def set_run(self, run) -> None:
        raise NotImplementedError

    def create_message(self, content, message_type, dst_node_id, group_id, ttl=None):
        return Message(content, dst_node_id=dst_node_id, message_type=message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self):
        return list(self.contexts)

    def push_messages(self, messages):
        names = []
        for message in messages:
            number = next(self.calls)
            message.metadata.__dict__["_message_id"] = f"m{number}"
            self.sent.append(message)
            self.replies[f"m{number}"] = self._answer(message, number)
            names.append(f"m{number}")
        return names

    def _answer(self, message: Message, number: int) -> Message:
        if number in self.failing:
            return Message(Error(5, "node is gone"), reply_to=message)
        node = message.metadata.dst_node_id
        # As Flower does: what the app gets shares nothing with what was sent.
        copy = RecordDict({name: record.copy() for name, record in message.content.items()})
        given = Message(copy, dst_node_id=node, message_type=message.metadata.message_type)
        for key in ("_message_id", "_group_id", "_src_node_id"):
            given.metadata.__dict__[key] = message.metadata.__dict__[key]
        return self.app(given, self.contexts[node])

    def pull_messages(self, message_ids):
        return [self.replies.pop(name) for name in list(message_ids) if name in self.replies]

    def send_and_receive(self, messages, *, timeout=None):
        return self.pull_messages(self.push_messages(messages))


FAULTS = {
    "fails": "the node breaks before it answers",
    "crashes": "the node breaks after it worked, and forgets",
    "late": "the reply comes after the timeout",
    "store lost": "the node's models are gone",
    "restarted": "the node's context is gone",
    "damaged down": "a bit of the message is flipped",
    "damaged up": "a bit of the reply is flipped",
    "reordered": "the node gets its message after all others",
}
AS_A_FAILURE = {"fails", "crashes", "late", "damaged up"}


class FaultyGrid(LocalGrid):
    """`faults` tells what is to happen to a node's messages in a round; replies come in any order, a few at a time.

    Evaluation never fails for good, so that every aggregate has the same replies in it as plain Flower's. `stores` tells
    where a node keeps its models. With ``plain=True`` only those faults happen that plain Flower has too.
    """

    def __init__(
        self,
        app: ClientApp,
        nodes: int,
        faults: Callable[[int, int], Iterable[str]],
        *,
        stores: Callable[[int], Path] = lambda node: Path("/nowhere"),
        plain: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(app, nodes)
        self.faults, self.stores, self.plain = faults, stores, plain
        self.injected: Counter[str] = Counter()
        self.random = random.Random(seed)
        self.done: set[tuple[int, int, str]] = set()
        self.late: set[str] = set()

    def push_messages(self, messages):
        messages = list(messages)
        last = [m for m in messages if "reordered" in self._due(m)]
        self.injected["reordered"] += len(last)
        super().push_messages([m for m in messages if m not in last] + last)
        return [m.metadata.message_id for m in messages]

    def _due(self, message: Message) -> set[str]:
        if self._at(message) in self.done:
            return set()
        number, node, kind = self._at(message)
        due = set(self.faults(number, node))
        return due if kind == "train" else due - AS_A_FAILURE

    def _at(self, message: Message) -> tuple[int, int, str]:
        number = int(message.content.config_records["config"]["server-round"])
        return number, message.metadata.dst_node_id, message.metadata.message_type

    def _answer(self, message: Message, number: int) -> Message:
        due, node = self._due(message), message.metadata.dst_node_id
        self.done.add(self._at(message))
        content = message.content
        broken = damaged(content) if "damaged down" in due else content
        unseen = {"reordered", "damaged up"} | ({"damaged down"} if broken == content else set())
        self.injected.update(due - unseen)
        if "fails" in due or (self.plain and due & AS_A_FAILURE):
            return Message(Error(5, "node is gone"), reply_to=message)
        if self.plain:
            return super()._answer(message, number)
        if "store lost" in due:
            shutil.rmtree(self.stores(node), ignore_errors=True)
        if "restarted" in due:
            self.contexts[node].state = RecordDict()
        before = self.contexts[node].state.copy()
        message.content = broken
        reply = super()._answer(message, number)
        message.content = content
        if "crashes" in due:
            self.contexts[node].state = before
            return Message(Error(5, "node crashed"), reply_to=message)
        if self._is_to_be_damaged(message, reply):
            reply.content = damaged(reply.content)
        if "late" in due:
            self.late.add(message.metadata.message_id)
        return reply

    def _is_to_be_damaged(self, message: Message, reply: Message) -> bool:
        """Damage the first reply with a model: a node that could not decode has sent another one before."""
        number, node, kind = self._at(message)
        models = kind == "train" and reply.has_content() and len(reply.content.array_records)
        if not models or "damaged up" not in self.faults(number, node) or (number, node, "up") in self.done:
            return False
        self.done.add((number, node, "up"))
        self.injected["damaged up"] += 1
        return True

    def pull_messages(self, message_ids):
        ready = [name for name in message_ids if name not in self.late and name in self.replies]
        self.random.shuffle(ready)
        return super().pull_messages(ready[: max(1, len(ready) // 2)])

    def send_and_receive(self, messages, *, timeout=None):
        names = self.push_messages(messages)
        return [reply for name in names for reply in LocalGrid.pull_messages(self, [name])]


class Clock:
    """Stands in for `time` where a grid waits: only waiting makes it go on, so a slow machine loses no replies."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def damaged(content: RecordDict) -> RecordDict:
    """Copy a content, with a bit flipped in the middle of each model's first array."""
    copy = RecordDict(dict(content.items()))
    for name, record in content.array_records.items():
        first = next(iter(record), None)
        if first is None:
            continue
        data = bytearray(record[first].data)
        data[len(data) // 2] ^= 1
        copy[name] = ArrayRecord(
            {key: Array(a.dtype, a.shape, a.stype, bytes(data) if key == first else a.data) for key, a in record.items()}
        )
    return copy
