"""Messages to nodes: at most one is in flight to each node, the others wait at the server."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedretina.flower import ProcessGrid

POLL_S = 0.05
POLL_SHARE = 0.1
"""At most this share of the time is spent on asking for replies: with thousands in flight, asking takes long."""
RETRIES = 2
"""How often a message is sent again whose node failed."""
DEATHS = 60
"""How often a message is sent again whose actor or worker process is dead: Flower gives messages to dead actors for ever."""
DEAD_ACTOR = ("ActorDied", "ActorUnavailable")
DEAD = (*DEAD_ACTOR, "was killed")
"""Words of errors that say so: Ray's, and those of `ProcessGrid`."""
LONGEST_PAUSE_S = 10.0
"""Such a message is sent again after a pause, when a living actor may be free: one second longer each time, up to this."""


@dataclass
class Dispatcher:
    """Sends the messages of domains to the nodes that host them.

    Parameters
    ----------
    grid : Grid
        Flower's grid, or a `ProcessGrid`.
    on_repeat : callable, optional
        Called with the domain's position and the error reply, before its message is sent again.
    """

    grid: Grid
    on_repeat: Callable[[int, Message], None] = lambda domain, reply: None
    _queues: dict[int, deque[tuple[int, Message]]] = field(default_factory=dict)
    _flying: dict[str, tuple[int, Message]] = field(default_factory=dict)
    _busy: set[int] = field(default_factory=set)
    _failed: dict[int, int] = field(default_factory=dict)
    _paused: list[tuple[float, int, Message]] = field(default_factory=list)
    _companions: set[str] = field(default_factory=set)
    _pull_s: float = 0.0

    def send(self, domain: int, message: Message) -> None:
        """Send a message for the domain at that position, once its node is free."""
        self._queues.setdefault(message.metadata.dst_node_id, deque()).append((domain, message))
        self._push()

    def wait(self) -> Iterable[tuple[int, Message]]:
        """Wait for replies; yield each with its domain's position. A message whose node failed is sent again."""
        while not (replies := self._pull()):
            if isinstance(self.grid, ProcessGrid) and self._flying:
                self.grid.wait(1.0)
            else:
                time.sleep(max(POLL_S, self._pull_s * (1 / POLL_SHARE - 1)))
            self._send_paused()
        for reply in replies:
            if reply.metadata.reply_to_message_id in self._companions:
                self._companions.remove(reply.metadata.reply_to_message_id)
                continue
            domain, message = self._flying.pop(reply.metadata.reply_to_message_id)
            self._busy.discard(message.metadata.dst_node_id)
            if reply.has_error() and self._failed.get(domain, 0) < _most_repeats(reply):
                self._repeat(domain, message, reply)
            else:
                self._failed.pop(domain, None)
                yield domain, reply
        self._push()

    def _repeat(self, domain: int, message: Message, reply: Message) -> None:
        """Send a message again: at once, or after a pause if what ran it is dead."""
        self._failed[domain] = self._failed.get(domain, 0) + 1
        self.on_repeat(domain, reply)
        again = Message(message.content, dst_node_id=message.metadata.dst_node_id, message_type="train")
        pause = min(self._failed[domain], LONGEST_PAUSE_S) if _most_repeats(reply) == DEATHS else 0.0
        if any(word in (reply.error.reason or "") for word in DEAD_ACTOR):
            self._ask_another_actor(message.metadata.dst_node_id)
        self._paused.append((time.monotonic() + pause, domain, again))
        self._send_paused()

    def _ask_another_actor(self, node: int) -> None:
        """Send a message that costs nothing, and whose reply is not read.

        Flower's pool gives a message to the actor that came back last. If a single message is left, that is the dead one,
        for ever. Two messages take the dead actor and a living one; the living one comes back later, and is the next.
        """
        for _ in range(2):
            query = Message(RecordDict(), dst_node_id=node, message_type="query.domains")
            self._companions.update(self.grid.push_messages([query]))

    def _send_paused(self) -> None:
        now = time.monotonic()
        due = [entry for entry in self._paused if entry[0] <= now]
        self._paused = [entry for entry in self._paused if entry[0] > now]
        for _, domain, message in due:
            self.send(domain, message)

    def _pull(self) -> list[Message]:
        began = time.monotonic()
        wanted = [*self._flying, *self._companions]
        replies = list(self.grid.pull_messages(wanted)) if wanted else []
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


def _most_repeats(reply: Message) -> int:
    return DEATHS if any(word in (reply.error.reason or "") for word in DEAD) else RETRIES
