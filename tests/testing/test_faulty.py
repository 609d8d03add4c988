"""FaultyGrid: faults happen as asked, once a message."""

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp

from fedretina.errors import BadArgument
from fedretina.testing import FAULTS, FakeClock, FaultyGrid, flip_bits

APP = ClientApp()


@APP.train()
def train(message, context):
    answers = context.state["answers"]["n"] if "answers" in context.state else 0
    context.state["answers"] = ConfigRecord({"n": answers + 1})
    return Message(RecordDict({"arrays": message.content["arrays"]}), reply_to=message)


def send(grid, number=1):
    content = RecordDict({"arrays": ArrayRecord([np.zeros(64)]), "config": ConfigRecord({"server-round": number})})
    return grid.send_and_receive([grid.create_message(content, "train", node, "") for node in grid.get_node_ids()])


def first_node(*kinds):
    return lambda number, node: kinds if node == 100 else ()


@pytest.mark.parametrize("kind", ["fails", "crashes"])
def test_a_failure_is_answered_by_an_error_once(kind):
    grid = FaultyGrid(APP, 2, first_node(kind))
    assert [reply.has_error() for reply in send(grid)] == [True, False]
    assert [reply.has_error() for reply in send(grid)] == [False, False]
    assert grid.contexts[100].state["answers"]["n"] == 1
    assert grid.injected[kind] == 1


@pytest.mark.parametrize("kind", ["damaged up", "damaged down"])
def test_a_bit_is_flipped(kind):
    grid = FaultyGrid(APP, 2, first_node(kind))
    first, second = (reply.content["arrays"]["0"].numpy() for reply in send(grid))
    assert first.any()
    assert not second.any()


def test_a_late_reply_is_never_pulled():
    grid = FaultyGrid(APP, 1, first_node("late"))
    content = RecordDict({"arrays": ArrayRecord([np.zeros(64)]), "config": ConfigRecord({"server-round": 1})})
    names = grid.push_messages([grid.create_message(content, "train", 100, "")])
    assert grid.pull_messages(names) == []


def test_a_node_loses_its_state_and_its_models(tmp_path):
    (tmp_path / "100").mkdir()
    grid = FaultyGrid(
        APP, 1, lambda number, node: ["restarted", "store lost"] * (number == 2), stores=lambda node: tmp_path / str(node)
    )
    send(grid, 1)
    send(grid, 2)
    assert grid.contexts[100].state["answers"]["n"] == 1
    assert not (tmp_path / "100").exists()


def test_a_store_can_be_lost_only_where_it_is_known():
    with pytest.raises(BadArgument, match="give `stores`"):
        send(FaultyGrid(APP, 1, first_node("store lost")))


def test_plain_runs_have_the_same_failures_and_no_others():
    grid = FaultyGrid(APP, 2, first_node("late", "restarted"), plain=True)
    assert [reply.has_error() for reply in send(grid)] == [True, False]
    assert set(grid.injected) <= set(FAULTS)


def test_damage_leaves_the_original():
    content = RecordDict({"arrays": ArrayRecord([np.zeros(64)]), "none": ArrayRecord()})
    assert flip_bits(content)["arrays"] != content["arrays"]
    assert not content["arrays"]["0"].numpy().any()


def test_only_waiting_moves_the_clock():
    clock = FakeClock()
    clock.sleep(2)
    clock.sleep(0.5)
    assert clock.monotonic() == 2.5
