"""Messages that are sent again: a node that failed, an actor that is dead."""

import pytest
from flwr.app import Error, Message, RecordDict
from flwr.clientapp import ClientApp

from fedretina.strategies.mutual_reuse import Dispatcher
from fedretina.strategies.mutual_reuse.dispatcher import RETRIES
from fedretina.testing import LocalGrid

DIED = "<class 'ray.exceptions.ActorDiedError'>:<'The actor died unexpectedly before finishing this task.'>"
app = ClientApp()


@app.train()
@app.query("domains")
def answer(message, context):
    return Message(RecordDict(), reply_to=message)


class Failing(LocalGrid):
    """The first answers of each node are errors."""

    def __init__(self, nodes, *, reason, times):
        super().__init__(app, nodes)
        self.reason, self.left = reason, dict.fromkeys(self.contexts, times)

    def answer(self, message, number):
        node = message.metadata.dst_node_id
        self.left[node] -= message.metadata.message_type == "train"
        return super().answer(message, number) if self.left[node] < 0 else Message(Error(3, self.reason), reply_to=message)


def replies(grid):
    sender = Dispatcher(grid)
    for index, node in enumerate(grid.contexts):
        sender.send(index, Message(RecordDict(), dst_node_id=node, message_type="train"))
    found = {}
    while len(found) < len(grid.contexts):
        found |= {index: reply.has_error() for index, reply in sender.wait()}
    return found


@pytest.fixture
def no_pauses(monkeypatch):
    monkeypatch.setattr("fedretina.strategies.mutual_reuse.dispatcher.LONGEST_PAUSE_S", 0.0)


@pytest.mark.parametrize(("reason", "times", "fails"), [
    ("the app raised", RETRIES, False),
    ("the app raised", RETRIES + 1, True),
    (DIED, 5 * RETRIES, False),
    ("the worker process was killed", 5 * RETRIES, False),
])  # fmt: skip
def test_a_message_is_sent_again_longer_if_its_actor_is_dead(no_pauses, reason, times, fails):
    grid = Failing(3, reason=reason, times=times)
    assert replies(grid) == dict.fromkeys(range(3), fails)
    trained = [message for message in grid.sent if message.metadata.message_type == "train"]
    assert len(trained) == 3 * (min(times, RETRIES) + 1 if fails else times + 1)


def test_a_message_of_a_dead_actor_waits_before_it_is_sent_again(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("fedretina.strategies.mutual_reuse.dispatcher.time.monotonic", lambda: now[0])
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("fedretina.strategies.mutual_reuse.dispatcher.time.sleep", sleep)
    assert replies(Failing(1, reason=DIED, times=2)) == {0: False}
    assert sum(slept) == pytest.approx(3.0, abs=0.2)  # one second, then two


class LastInFirstOut(LocalGrid):
    """Two actors, of which one is dead. As in Flower, the one that came back last gets the next message."""

    def __init__(self):
        super().__init__(app, 1)
        self.pool, self.taken = ["living", "dead"], []

    def come_back(self):
        """The error of a dead actor comes at once, so it comes back before the living one."""
        self.pool, self.taken = self.pool + sorted(self.taken), []

    def pull_messages(self, message_ids):
        self.come_back()
        return super().pull_messages(message_ids)

    def answer(self, message, number):
        if not self.pool:
            self.come_back()
        actor = self.pool.pop()
        self.taken.append(actor)
        return Message(Error(3, DIED), reply_to=message) if actor == "dead" else super().answer(message, number)


def test_a_single_message_does_not_go_to_the_dead_actor_for_ever(no_pauses):
    assert replies(LastInFirstOut()) == {0: False}
