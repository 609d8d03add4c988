"""A grid in this process: tests need not wait for Ray, which takes 17 seconds to start."""

import itertools
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import flwr.supercore.task_identity as identity
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

SERVER = 1
"""Identifier of the server's own node."""
FIRST_NODE = 100
"""Identifier of the first node; the next ones follow it."""
NO_ANSWER = 5
"""The code of the error that stands for a node that did not answer."""


class LocalGrid(Grid):
    """A grid whose nodes answer at once, in this process, each with a context of its own.

    As under Flower, the app gets a copy of each message. To observe or change replies, derive from this class and override
    `answer`.

    Parameters
    ----------
    app : ClientApp
        The app that all nodes run.
    nodes : int
        Number of nodes. Their identifiers are 100, 101, ...
    run_config : dict, optional
        The configuration that nodes find in ``context.run_config``.
    failing : iterable of int, optional
        Numbers of the messages (from 0) that get an error reply.

    Attributes
    ----------
    contexts : dict of int to Context
        The context of each node, by its identifier; ``node_config`` has "partition-id" and "num-partitions".
    sent : list of Message
        All messages that were pushed.
    calls : iterator of int
        Numbers of the next messages, from 0.
    replies : dict of str to Message
        Replies that nobody has pulled yet, by the identifiers of the messages that they answer.

    Examples
    --------
    >>> import numpy as np
    >>> from flwr.app import ArrayRecord, MetricRecord
    >>> from flwr.serverapp.strategy import FedAvg
    >>> app = ClientApp()
    >>> @app.train()
    ... def train(message, context):
    ...     arrays = ArrayRecord([array + 1 for array in message.content["arrays"].to_numpy_ndarrays()])
    ...     metrics = MetricRecord({"num-examples": 1})
    ...     return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)
    >>> grid = LocalGrid(app, 2)
    >>> result = FedAvg(fraction_evaluate=0.0).start(grid, ArrayRecord([np.zeros(3)]), num_rounds=2)
    >>> result.arrays.to_numpy_ndarrays()
    [array([2., 2., 2.])]
    >>> sorted(message.metadata.dst_node_id for message in grid.sent[:2])
    [100, 101]
    """

    run: Any = SimpleNamespace(run_id=1)

    def __init__(
        self, app: ClientApp, nodes: int, *, run_config: dict[str, Any] | None = None, failing: Iterable[int] = ()
    ) -> None:
        identity.TaskIdentity.run_id, identity.TaskIdentity.node_id, identity.TaskIdentity.task_id = 1, SERVER, 1
        self.app, self.failing = app, set(failing)
        self.contexts = {
            FIRST_NODE + i: Context(
                1, FIRST_NODE + i, {"partition-id": i, "num-partitions": nodes}, RecordDict(), run_config or {}
            )
            for i in range(nodes)
        }
        self.sent: list[Message] = []
        self.replies: dict[str, Message] = {}
        self.calls = itertools.count()

    def set_run(self, run: Any) -> None:
        """Raise `NotImplementedError`: a local grid has one run."""
        raise NotImplementedError

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Return a message to a node."""
        return Message(content, dst_node_id=dst_node_id, message_type=message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> list[int]:
        """Return the nodes' identifiers."""
        return list(self.contexts)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Send messages to the nodes, one after another, and return the messages' identifiers."""
        names = []
        for message in messages:
            number = next(self.calls)
            name = f"m{number}"
            message.metadata.__dict__["_message_id"] = name
            self.sent.append(message)
            self.replies[name] = self.answer(message, number)
            names.append(name)
        return names

    def answer(self, message: Message, number: int) -> Message:
        """Run the app on a message, and return its reply.

        Parameters
        ----------
        message : Message
            As it was pushed.
        number : int
            How many messages were pushed before.
        """
        if number in self.failing:
            return Message(Error(NO_ANSWER, "node is gone"), reply_to=message)
        node = message.metadata.dst_node_id
        # As under Flower, the app gets a copy that shares nothing with the message that was sent.
        copy = RecordDict({name: record.copy() for name, record in message.content.items()})
        received = Message(copy, dst_node_id=node, message_type=message.metadata.message_type)
        for key in ("_message_id", "_group_id", "_src_node_id"):
            received.metadata.__dict__[key] = message.metadata.__dict__[key]
        return self.app(received, self.contexts[node])

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies to the messages of these identifiers, each once."""
        return [self.replies.pop(name) for name in list(message_ids) if name in self.replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Push messages and return all replies, in the order of the messages."""
        return self.pull_messages(self.push_messages(messages))
