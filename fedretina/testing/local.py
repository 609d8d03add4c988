"""A grid in this process: tests need not wait for Ray, which takes 17 seconds to start."""

from collections.abc import Iterable
from typing import Any

from flwr.app import Error, Message, RecordDict
from flwr.clientapp import ClientApp

from fedretina.flower import FAILED, LocalNodes, received


class LocalGrid(LocalNodes):
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

    def __init__(
        self, app: ClientApp, nodes: int, *, run_config: dict[str, Any] | None = None, failing: Iterable[int] = ()
    ) -> None:
        super().__init__(nodes, run_config=run_config)
        self.app, self.failing = app, set(failing)
        self.sent: list[Message] = []
        self.replies: dict[str, Message] = {}

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Send messages to the nodes, one after another, and return the messages' identifiers."""
        names = []
        for message in messages:
            name, number = self.name(message)
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
            return Message(Error(FAILED, "node is gone"), reply_to=message)
        # As under Flower, the app gets a copy that shares nothing with the message that was sent.
        copy = RecordDict({name: record.copy() for name, record in message.content.items()})
        return self.app(received(message, copy), self.contexts[message.metadata.dst_node_id])

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies to the messages of these identifiers, each once."""
        return [self.replies.pop(name) for name in list(message_ids) if name in self.replies]
