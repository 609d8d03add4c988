"""A grid in this process: an app answers at once, every node with a context of its own. Ray takes 17 s to start."""

import itertools
from collections.abc import Iterable

import flwr.supercore.task_identity as identity
from flwr.app import Context, Error, Message, RecordDict
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

    run = None

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
