"""Record what both sides send and receive, between the app's code and the transport."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.serverapp import Grid

from apps.app import Array
from fedretina.testing import LocalGrid

Records = dict[str, dict[str, Any]]
Key = tuple[int, str]  # node, type of message
STYPE = "numpy.ndarray"
NAMED = {"down": 68, "up": 134}  # bytes that an object's name takes in the calls around a message
AROUND = {"down": 367, "up": 689}  # bytes of these calls, of metadata and of the message's own object


@dataclass
class Notes:
    """The records that one side sent and received, in order, by node and type of message."""

    gave: dict[Key, list[Records]] = field(default_factory=lambda: defaultdict(list))
    got: dict[Key, list[Records]] = field(default_factory=lambda: defaultdict(list))
    first: Records = field(default_factory=dict)  # records sent before any arrays were received
    has_arrays: bool = False  # whether any were
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0  # time spent on the notes, which is not part of the app

    def note(self, message: Message, node: int, where: dict[Key, list[Records]]) -> None:
        """Copy the content of a message; of an error, store the reason."""
        if message.has_error():
            self.errors.append(message.error.reason)
            return
        for record in message.content.array_records.values():
            for array in record.values():
                _ = array.data  # decoding is the app's time, copying is not
        start = time.perf_counter()
        records = records_of(message.content)
        where[node, message.metadata.message_type].append(records)
        if where is self.got:
            self.has_arrays = self.has_arrays or len(message.content.array_records) > 0
        elif not self.has_arrays:  # what is sent later may be a version under another name
            self.first = records | self.first
        self.seconds += time.perf_counter() - start


class Tap:
    """A mod directly before the app's own functions: it gets the same messages as the client code."""

    def __init__(self) -> None:
        self.notes = Notes()

    def __call__(self, message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
        """Note the message and the reply."""
        self.notes.note(message, context.node_id, self.notes.got)
        reply = call_next(message, context)
        self.notes.note(reply, context.node_id, self.notes.gave)
        return reply


class ObservedGrid(Grid):
    """The grid of the server code. It returns replies in the order of the nodes, so that sums of floats are comparable."""

    def __init__(self, grid: Grid) -> None:
        self._grid, self.notes = grid, Notes()

    def set_run(self, run: Any) -> None:
        """Delegate to the inner grid."""
        self._grid.set_run(run)

    @property
    def run(self) -> Any:
        """Delegate to the inner grid."""
        return self._grid.run

    def create_message(self, *args: Any, **options: Any) -> Message:
        """Delegate to the inner grid."""
        return self._grid.create_message(*args, **options)

    def get_node_ids(self) -> Iterable[int]:
        """Delegate to the inner grid."""
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Record the messages, and send them."""
        return self._grid.push_messages(self._noted(messages))

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Record the replies that have arrived."""
        return self._received(self._grid.pull_messages(message_ids))

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Record the messages and the replies."""
        return self._received(self._grid.send_and_receive(self._noted(messages), timeout=timeout))

    def _noted(self, messages: Iterable[Message]) -> list[Message]:
        sent = list(messages)
        for message in sent:
            self.notes.note(message, message.metadata.dst_node_id, self.notes.gave)
        return sent

    def _received(self, messages: Iterable[Message]) -> list[Message]:
        replies = sorted(messages, key=lambda reply: reply.metadata.src_node_id)
        for reply in replies:
            self.notes.note(reply, reply.metadata.src_node_id, self.notes.got)
        return replies


class MeasuringGrid(LocalGrid):
    """The inner grid: it answers in this process, and measures the bytes of each message as a SuperLink does."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sizes: dict[str, dict[Key, list[int]]] = {"down": defaultdict(list), "up": defaultdict(list)}
        self.seconds = 0.0

    def answer(self, message: Message, number: int) -> Message:
        self._measure(message, message, "down")
        reply = super().answer(message, number)
        if reply.has_content():
            self._measure(reply, message, "up")
        return reply

    def _measure(self, message: Message, request: Message, direction: str) -> None:
        start = time.perf_counter()
        key = request.metadata.dst_node_id, request.metadata.message_type
        self.sizes[direction][key].append(AROUND[direction] + size_of(message.content, direction))
        self.seconds += time.perf_counter() - start


def size_of(part: Any, direction: str) -> int:
    """Count the bytes of an object and the objects in it on the wire: serialised, with their names."""
    inside = (part.children or {}).values()
    return NAMED[direction] + len(part.deflate()) + sum(size_of(child, direction) for child in inside)


def records_of(content: RecordDict) -> Records:
    """Copy a content; arrays become NumPy arrays."""
    return {
        name: {key: _copy(array) for key, array in record.items()} if isinstance(record, ArrayRecord) else dict(record)
        for name, record in content.items()
    }


def _copy(array: Any) -> Array:
    """Copy an array; one that was not serialised from NumPy becomes bytes."""
    return np.array(array.numpy()) if array.stype == STYPE else np.frombuffer(array.data, np.uint8)
