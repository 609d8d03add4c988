"""What grids with nodes on this machine have in common: the nodes, their contexts, the names of messages."""

import itertools
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import flwr.supercore.task_identity as identity
from flwr.app import Context, Message, RecordDict
from flwr.serverapp import Grid

RUN, SERVER, FIRST_NODE, TASK = 1, 1, 100, 1
"""Identifiers: of the run, of the server's own node, of the first node (the next ones follow it), of every task."""
FAILED = 5
"""The code of the error that stands for a node that failed, or did not answer."""


class LocalNodes(Grid):
    """A grid with a context for each node, all on this machine. What runs the app, and when, is the derived class's.

    Parameters
    ----------
    nodes : int
        Number of nodes. Their identifiers are 100, 101, ...
    run_config : dict, optional
        The configuration that nodes find in ``context.run_config``.

    Attributes
    ----------
    contexts : dict of int to Context
        The context of each node, by its identifier; ``node_config`` has "partition-id" and "num-partitions".
    calls : iterator of int
        Numbers of the next messages, from 0.
    """

    run: Any = SimpleNamespace(run_id=RUN)

    def __init__(self, nodes: int, *, run_config: dict[str, Any] | None = None) -> None:
        act_as(SERVER)
        self.contexts = {
            FIRST_NODE + i: Context(
                RUN, FIRST_NODE + i, {"partition-id": i, "num-partitions": nodes}, RecordDict(), run_config or {}
            )
            for i in range(nodes)
        }
        self.calls = itertools.count()

    def set_run(self, run: Any) -> None:
        """Raise `NotImplementedError`: these nodes have one run."""
        raise NotImplementedError

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Return a message to a node."""
        return Message(content, dst_node_id=dst_node_id, message_type=message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> list[int]:
        """Return the nodes' identifiers."""
        return list(self.contexts)

    def name(self, message: Message) -> tuple[str, int]:
        """Give a message its identifier; return it and the message's number, from 0."""
        number = next(self.calls)
        message.metadata.__dict__["_message_id"] = f"m{number}"
        return f"m{number}", number

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Push messages and return all replies, in the order of the messages."""
        return list(self.pull_messages(self.push_messages(messages)))


def act_as(node: int) -> None:
    """Take the identity of a node in this process: outside of a run, Flower makes no message without one."""
    identity.TaskIdentity.run_id, identity.TaskIdentity.node_id, identity.TaskIdentity.task_id = RUN, node, TASK


def received(message: Message, content: RecordDict) -> Message:
    """Return the message as its node receives it, with a content of its own."""
    copy = Message(content, dst_node_id=message.metadata.dst_node_id, message_type=message.metadata.message_type)
    for key in ("_message_id", "_group_id", "_src_node_id"):
        copy.metadata.__dict__[key] = message.metadata.__dict__[key]
    return copy
