"""Messages to nodes: at most one is in flight to each node, the others wait at the server."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from flwr.app import Message
from flwr.serverapp import Grid

from fedretina.flower import ProcessGrid

POLL_S = 0.05
POLL_SHARE = 0.1
"""At most this share of the time is spent on asking for replies: with thousands in flight, asking takes long."""
RETRIES = 2
"""How often a message is sent again to a node that failed, such as one whose process was killed."""


@dataclass
class Dispatcher:
    """Sends the messages of domains to the nodes that host them.

    Parameters
    ----------
    grid : Grid
        Flower's grid, or a `ProcessGrid`.
    """

    grid: Grid
    _queues: dict[int, deque[tuple[int, Message]]] = field(default_factory=dict)
    _flying: dict[str, tuple[int, Message]] = field(default_factory=dict)
    _busy: set[int] = field(default_factory=set)
    _failed: dict[int, int] = field(default_factory=dict)
    _pull_s: float = 0.0

    def send(self, domain: int, message: Message) -> None:
        """Send a message for the domain at that position, once its node is free."""
        self._queues.setdefault(message.metadata.dst_node_id, deque()).append((domain, message))
        self._push()

    def wait(self) -> Iterable[tuple[int, Message]]:
        """Wait for replies; yield each with its domain's position. A message whose node failed is sent again."""
        while not (replies := self._pull()):
            if isinstance(self.grid, ProcessGrid):
                self.grid.wait(1.0)
            else:
                time.sleep(max(POLL_S, self._pull_s * (1 / POLL_SHARE - 1)))
        for reply in replies:
            domain, message = self._flying.pop(reply.metadata.reply_to_message_id)
            self._busy.discard(message.metadata.dst_node_id)
            if reply.has_error() and self._failed.get(domain, 0) < RETRIES:
                self._failed[domain] = self._failed.get(domain, 0) + 1
                self.send(domain, Message(message.content, dst_node_id=message.metadata.dst_node_id, message_type="train"))
            else:
                self._failed.pop(domain, None)
                yield domain, reply
        self._push()

    def _pull(self) -> list[Message]:
        began = time.monotonic()
        replies = list(self.grid.pull_messages(list(self._flying)))
        self._pull_s = time.monotonic() - began
        return replies

    def _push(self) -> None:
        """Push the first message of each node that is free."""
        for node, queue in self._queues.items():
            if queue and node not in self._busy:
                domain, message = queue.popleft()
                self._busy.add(node)
                (name,) = self.grid.push_messages([message])
                self._flying[name] = domain, message
