"""LocalGrid: nodes answer in this process."""

import numpy as np
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp

from fedretina.testing import LocalGrid


def app() -> ClientApp:
    """Give an app that counts its messages in its context, and changes what it gets."""
    client = ClientApp()

    @client.query()
    def answer(message, context):
        context.state["seen"] = ArrayRecord([np.zeros(1 + len(context.state))])
        message.content["more"] = ArrayRecord([np.ones(context.node_config["partition-id"] + 1)])
        return Message(message.content, reply_to=message)

    return client


def to_all(grid):
    return [grid.create_message(RecordDict(), "query", node, "1") for node in grid.get_node_ids()]


def test_every_node_answers_with_a_context_of_its_own():
    grid = LocalGrid(app(), 3)
    replies = grid.send_and_receive(to_all(grid))
    assert [len(reply.content["more"]["0"].numpy()) for reply in replies] == [1, 2, 3]
    assert all("seen" in context.state for context in grid.contexts.values())
    assert len({id(context) for context in grid.contexts.values()}) == 3


def test_an_app_cannot_change_what_was_sent():
    grid = LocalGrid(app(), 1)
    (message,) = to_all(grid)
    grid.send_and_receive([message])
    assert not len(message.content)


def test_named_messages_fail_and_replies_come_once():
    grid = LocalGrid(app(), 2, failing=[1])
    names = grid.push_messages(to_all(grid))
    assert [reply.has_error() for reply in grid.pull_messages(names)] == [False, True]
    assert grid.pull_messages(names) == []
