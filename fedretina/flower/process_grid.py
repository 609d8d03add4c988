"""A grid whose nodes run in a pool of processes on this machine: Flower's simulation without Ray."""

import multiprocessing
import os
import sys
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from flwr.app import Array, ArrayRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from fedretina.errors import BadArgument
from fedretina.flower.local_nodes import FAILED, LocalNodes, act_as, received

_app: list[ClientApp] = []  # of this process, if it is a worker


class ProcessGrid(LocalNodes):
    """A grid for thousands of cheap nodes: their app runs in worker processes, each of which serves any node.

    Nodes have a context each, as under Flower. A worker that is killed costs its message an error reply; new workers replace
    it. Workers set torch to one thread. Close the grid at the end, or use it in a ``with`` block.

    Parameters
    ----------
    app : str
        The ClientApp, as "module:attribute"; workers import it.
    nodes : int
        Number of nodes. Their identifiers are 100, 101, ...
    processes : int, optional
        Number of worker processes; by default one for each processor.
    run_config : dict, optional
        What nodes find in ``context.run_config``.
    paths : iterable of str
        Folders in which workers look for modules first.

    Raises
    ------
    BadArgument
        If a number is not positive.

    Examples
    --------
    ::

        with ProcessGrid("client_app:app", 1000, processes=4) as grid:
            result = strategy.start(grid)
    """

    def __init__(
        self,
        app: str,
        nodes: int,
        *,
        processes: int | None = None,
        run_config: dict[str, Any] | None = None,
        paths: Iterable[str] = (),
    ) -> None:
        self._processes = processes if processes is not None else os.cpu_count() or 1
        if nodes < 1 or self._processes < 1:
            raise BadArgument(f"ProcessGrid has {nodes} nodes, {self._processes} processes; allowed: 1 or more of each")
        super().__init__(nodes, run_config=run_config)
        self._worker = app, tuple(paths)
        self._waiting: dict[str, tuple[Message, Future[tuple[Message, RecordDict]]]] = {}
        self._pool = self._new_pool()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; messages that wait for one are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Give messages to the workers, and return the messages' identifiers."""
        names = []
        for message in messages:
            name, _ = self.name(message)
            self._waiting[name] = message, self._submit(message)
            names.append(name)
        return names

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies that have come, each once."""
        done = [name for name in list(message_ids) if name in self._waiting and self._waiting[name][1].done()]
        return [self._reply(*self._waiting.pop(name)) for name in done]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Push messages and return all replies, in the order of the messages."""
        names = self.push_messages(messages)
        wait([self._waiting[name][1] for name in names], timeout=timeout)
        return self.pull_messages(names)

    def wait(self, timeout: float) -> None:
        """Return when a reply has come, or after `timeout` seconds."""
        wait([future for _, future in self._waiting.values()], timeout=timeout, return_when=FIRST_COMPLETED)

    def _new_pool(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._processes, context, initializer=_start_worker, initargs=self._worker)

    def _submit(self, message: Message) -> "Future[tuple[Message, RecordDict]]":
        work = _copy(message), self.contexts[message.metadata.dst_node_id]
        try:
            return self._pool.submit(_answer, *work)
        except BrokenProcessPool:
            self._pool = self._new_pool()
            return self._pool.submit(_answer, *work)

    def _reply(self, message: Message, future: "Future[tuple[Message, RecordDict]]") -> Message:
        try:
            reply, state = future.result()
        except BrokenProcessPool:
            return Message(Error(FAILED, "the worker process was killed"), reply_to=message)
        except Exception as error:
            return Message(Error(FAILED, f"{type(error).__name__}: {error}"), reply_to=message)
        self.contexts[message.metadata.dst_node_id].state = state
        return reply


def _copy(message: Message) -> Message:
    """Copy a message for another process. Flower keeps views of an array's bytes in it, which cannot travel there."""
    content = RecordDict(dict(message.content.items()))
    for name, record in message.content.array_records.items():
        content[name] = ArrayRecord({key: Array(a.dtype, a.shape, a.stype, a.data) for key, a in record.items()})
    return received(message, content)


def _start_worker(app: str, paths: tuple[str, ...]) -> None:
    """Import the app in a new worker."""
    sys.path[:0] = paths
    import_module("torch").set_num_threads(1)
    module, _, attribute = app.partition(":")
    _app.append(getattr(import_module(module), attribute))


def _answer(message: Message, context: Context) -> tuple[Message, RecordDict]:
    """Answer a message in a worker; return the reply and the node's new state."""
    act_as(context.node_id)
    return _app[-1](message, context), context.state
