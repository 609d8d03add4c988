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
    """What one side handed over and received, in order, for each node and type of message."""

    gave: dict[Key, list[Records]] = field(default_factory=lambda: defaultdict(list))
    got: dict[Key, list[Records]] = field(default_factory=lambda: defaultdict(list))
    first: Records = field(default_factory=dict)  # records handed over before any arrays were received
    has_arrays: bool = False  # whether any were
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0  # spent on notes, which no app would spend

    def note(self, message: Message, node: int, where: dict[Key, list[Records]]) -> None:
        """Copy what is in a message; an error is counted instead."""
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
    """A mod that stands directly before the app's own: it sees what the client code sees."""

    def __init__(self) -> None:
        self.notes = Notes()

    def __call__(self, message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
        """Note the message and the reply."""
        self.notes.note(message, context.node_id, self.notes.got)
        reply = call_next(message, context)
        self.notes.note(reply, context.node_id, self.notes.gave)
        return reply


class ObservedGrid(Grid):
    """The grid that the server code is given. It gives replies in the order of the nodes, so sums of floats compare."""

    def __init__(self, grid: Grid) -> None:
        self._grid, self.notes = grid, Notes()

    def set_run(self, run: Any) -> None:
        """Pass on."""
        self._grid.set_run(run)

    @property
    def run(self) -> Any:
        """Pass on."""
        return self._grid.run

    def create_message(self, *args: Any, **options: Any) -> Message:
        """Pass on."""
        return self._grid.create_message(*args, **options)

    def get_node_ids(self) -> Iterable[int]:
        """Pass on."""
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Note what is sent."""
        return self._grid.push_messages(self._noted(messages))

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Note what has come."""
        return self._received(self._grid.pull_messages(message_ids))

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Note what is sent and what comes."""
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


class WeighingGrid(LocalGrid):
    """The grid at the bottom: it answers in this process and weighs what really travels, as a SuperLink would."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sizes: dict[str, dict[Key, list[int]]] = {"down": defaultdict(list), "up": defaultdict(list)}
        self.seconds = 0.0

    def answer(self, message: Message, number: int) -> Message:
        self._weigh(message, message, "down")
        reply = super().answer(message, number)
        if reply.has_content():
            self._weigh(reply, message, "up")
        return reply

    def _weigh(self, message: Message, request: Message, direction: str) -> None:
        start = time.perf_counter()
        key = request.metadata.dst_node_id, request.metadata.message_type
        self.sizes[direction][key].append(AROUND[direction] + size_of(message.content, direction))
        self.seconds += time.perf_counter() - start


def size_of(part: Any, direction: str) -> int:
    """Measure what an object and the objects in it put on the wire, in bytes: serialised, with their names."""
    inside = (part.children or {}).values()
    return NAMED[direction] + len(part.deflate()) + sum(size_of(child, direction) for child in inside)


def records_of(content: RecordDict) -> Records:
    """Copy a content: arrays as NumPy's, all else as it is."""
    return {
        name: {key: _copy(array) for key, array in record.items()} if isinstance(record, ArrayRecord) else dict(record)
        for name, record in content.items()
    }


def _copy(array: Any) -> Array:
    """Copy an array; what Flower did not serialise from NumPy stays bytes."""
    return np.array(array.numpy()) if array.stype == STYPE else np.frombuffer(array.data, np.uint8)
