"""Faults: never a desync, never a wrong aggregate, resync within the round."""

import random

import numpy as np
import pytest
from flwr.serverapp.strategy import FedAvg

import toy
from fedretina.dom import DomConfig
from fedretina.flower import DomGrid, DomMod, grid, node_state
from fedretina.testing import FAULTS, FakeClock, FaultyGrid, LocalGrid

EXACT = DomConfig(lossless=True)  # then aggregates can be compared bit by bit
NODES = 6
RESYNCED = {"store lost", "restarted", "damaged down", "reordered"}


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(grid, "time", FakeClock())


def seldom(share, *kinds):
    """Let each kind of fault happen to that share of the messages, at random, the same in every run."""

    def faults(number, node):
        return [kind for kind in kinds if random.Random(f"{number} {node} {kind}").random() < share]

    return faults


class Ordered(FedAvg):
    """Adds in the same order, whichever reply came first: sums of floats depend on it."""

    def aggregate_train(self, server_round, replies):
        return super().aggregate_train(server_round, sorted(replies, key=lambda reply: reply.metadata.src_node_id))


def strategy(**options):
    return Ordered(min_train_nodes=NODES, min_evaluate_nodes=NODES, min_available_nodes=NODES, **options)


def run(folder, faults, *, config=EXACT, rounds=6, plain=False, nodes=NODES):
    inner = FaultyGrid(
        toy.app() if plain else toy.app(toy.per_node(folder / "nodes")),
        nodes,
        faults,
        stores=lambda node: folder / "nodes" / str(node),
        plain=plain,
    )
    wire = inner if plain else DomGrid(inner, config, store=folder / "server")
    random.seed(5)  # Flower samples nodes by it
    result = strategy().start(wire, toy.record_of(toy.start()), num_rounds=rounds, timeout=3)
    return toy.model_of(result.arrays), inner, wire


def assert_in_step(inner, wire):
    """Compare what each node says it holds with what the server believes."""
    for node, believed in wire.acknowledgements.snapshot().items():
        held = node_state.held_versions(inner.contexts[node])
        assert {stream: held.get(stream) for stream in believed} == believed


def assert_equal(model, other):
    assert set(model) == set(other)
    for name in model:
        assert np.array_equal(model[name], other[name]), name


@pytest.mark.parametrize("kind", FAULTS)
def test_the_aggregate_is_plain_flowers_whatever_goes_wrong(tmp_path, kind):
    faults = seldom(0.3, kind)
    model, inner, wire = run(tmp_path, faults)
    wanted, _, _ = run(tmp_path, faults, plain=True)
    assert inner.injected[kind] >= 5
    assert_equal(model, wanted)
    if kind in RESYNCED:
        assert_in_step(inner, wire)
        last = {row.node: row for row in wire.ledger.rows if row.direction == "up"}
        assert not any(row.error for row in last.values())


def test_all_of_it_at_once(tmp_path):
    faults = seldom(0.1, *FAULTS)
    model, inner, _ = run(tmp_path, faults, rounds=10)
    wanted, _, _ = run(tmp_path, faults, rounds=10, plain=True)
    assert set(inner.injected) == set(FAULTS)
    assert_equal(model, wanted)


def test_a_message_damaged_on_the_way_comes_again_within_the_round(tmp_path):
    _, _, wire = run(tmp_path, lambda number, node: ["damaged down"] if (number, node) == (2, 100) else [])
    rows = [row for row in wire.ledger.rows if row.node == 100 and row.round == 2]
    assert [row.kind for row in rows if row.direction == "down"] == ["none", "delta", "delta"]
    assert ["could not decode" in row.error and "Corrupt" in row.error for row in rows] == [*[False] * 3, True, *[False] * 2]


def test_a_round_that_was_cancelled_leaves_nothing_behind(tmp_path):
    inner = LocalGrid(toy.app(DomMod(tmp_path / "nodes")), 2)
    wire = DomGrid(inner, EXACT, store=tmp_path / "server")
    model = toy.start()
    wire.push_messages([toy.ask(model, node) for node in inner.contexts])  # and nobody asks for the replies
    moved = {name: value + np.float32(0.5) for name, value in model.items()}
    replies = list(wire.send_and_receive([toy.ask(moved, node, 2) for node in inner.contexts]))
    assert len(replies) == 2
    (plain,) = LocalGrid(toy.app(), 2).send_and_receive([toy.ask(moved)])
    ours = next(reply for reply in replies if reply.metadata.src_node_id == 100)
    assert_equal(*(toy.model_of(reply.content["arrays"]) for reply in (ours, plain)))


def test_a_server_that_starts_again_goes_on_where_it_was(tmp_path):
    inner = LocalGrid(toy.app(toy.per_node(tmp_path / "nodes")), NODES)
    places = {"store": tmp_path / "server", "streams": tmp_path / "streams"}
    first = DomGrid(inner, DomConfig(), **places)
    random.seed(5)
    middle = strategy().start(first, toy.record_of(toy.start()), num_rounds=3).arrays
    second = DomGrid(inner, DomConfig(), **places)
    assert second.acknowledgements.snapshot() == first.acknowledgements.snapshot()
    strategy().start(second, middle, num_rounds=3)
    kinds = {row.kind for row in second.ledger.rows if row.direction == "down"}
    assert kinds == {"delta", "none"}
    assert not any(row.error for row in second.ledger.rows)


def test_numbers_of_another_runs_nodes_are_forgotten(tmp_path):
    first = DomGrid(LocalGrid(toy.app(DomMod(tmp_path)), 2), store=tmp_path, streams=tmp_path / "s")
    first.send_and_receive([toy.ask(toy.start())])
    inner = LocalGrid(toy.app(DomMod(tmp_path)), 2)
    inner.contexts = {node + 1000: context for node, context in inner.contexts.items()}
    second = DomGrid(inner, store=tmp_path, streams=tmp_path / "s")
    assert 100 in second.acknowledgements.nodes()
    (reply,) = second.send_and_receive([toy.ask(toy.start(), 1100)])
    assert reply.has_content()
    assert second.acknowledgements.nodes() == {1100}


def test_two_runs_at_once_share_a_machine(tmp_path):
    runs = []
    for shift in (0.0, 1.0):
        inner = LocalGrid(toy.app(DomMod(tmp_path)), 2)
        model = {name: value + np.float32(shift) for name, value in toy.start().items()}
        runs.append((DomGrid(inner, EXACT, store=tmp_path), LocalGrid(toy.app(), 2), model))
    for number in range(1, 5):
        for i, (wire, plain, model) in enumerate(runs):
            answers = [list(g.send_and_receive([toy.ask(model, 101, number)])) for g in (wire, plain)]
            got, wanted = (toy.model_of(answer[0].content["arrays"]) for answer in answers)
            assert_equal(got, wanted)
            runs[i] = wire, plain, got
    assert not any(row.error for wire, _, _ in runs for row in wire.ledger.rows)
