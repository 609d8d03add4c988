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
def train(message, context):
    return Message(RecordDict(), reply_to=message)


class Failing(LocalGrid):
    """The first answers of each node are errors."""

    def __init__(self, nodes, *, reason, times):
        super().__init__(app, nodes)
        self.reason, self.left = reason, dict.fromkeys(self.contexts, times)

    def answer(self, message, number):
        node = message.metadata.dst_node_id
        self.left[node] -= 1
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
    assert len(grid.sent) == 3 * (min(times, RETRIES) + 1 if fails else times + 1)


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
