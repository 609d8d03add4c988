"""A strategy gets replies in an order that depends on what they carry only: equal runs are equal to the bit."""

import random

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp import strategy as flower

import toy
from fedretina.dom import DomConfig, Version, publish
from fedretina.flower import DomGrid, DomMod
from fedretina.flower.lazy import lazy_record
from fedretina.flower.ordering import digest_of, sort_key
from fedretina.flower.sources import ModelCache, ReplySource
from fedretina.testing import LocalGrid

NODES = 7


class Renumbered(LocalGrid):
    """The same nodes under other numbers, listed in another order; replies come a few at a time, in any order."""

    def __init__(self, app, seed):
        super().__init__(app, NODES)
        self.random = random.Random(seed)
        numbers = self.random.sample(range(1, 2**63), NODES)
        known = dict(zip(numbers, self.contexts.values(), strict=True))
        self.contexts = {number: known[number] for number in self.random.sample(numbers, NODES)}

    def pull_messages(self, message_ids):
        ready = [name for name in message_ids if name in self.replies]
        return super().pull_messages(self.random.sample(ready, (len(ready) + 1) // 2))


def a_run(folder, seed, name, config):
    grid = Renumbered(toy.app(DomMod(folder / str(seed))), seed)
    wire = DomGrid(grid, config, store=folder / f"{seed} server")
    everybody = {"min_train_nodes": NODES, "min_evaluate_nodes": NODES, "min_available_nodes": NODES}
    result = getattr(flower, name)(**everybody).start(wire, toy.record_of(toy.start()), num_rounds=4)
    metrics = [
        dict(by_round[n])
        for by_round in (result.train_metrics_clientapp, result.evaluate_metrics_clientapp)
        for n in by_round
    ]
    rows = sorted((r.round, r.direction, r.kind, r.digest, r.raw_bytes, r.wire_bytes) for r in wire.ledger.rows)
    return toy.model_of(result.arrays), metrics, rows


@pytest.mark.parametrize("config", [DomConfig(), DomConfig(lossless=True), None], ids=["dom", "lossless", "none"])
@pytest.mark.parametrize("name", ["FedAvg", "FedAdam", "Krum", "FedTrimmedAvg"])
def test_two_runs_are_equal_to_the_bit_however_nodes_are_numbered(name, config, tmp_path):
    (model, metrics, rows), (again, metrics_again, rows_again) = (a_run(tmp_path, seed, name, config) for seed in (1, 2))
    assert all(np.array_equal(model[key], again[key]) for key in model)
    assert metrics == metrics_again
    assert len(metrics) == 8
    assert rows == rows_again


def reply(values=None, *, failed=False, **metrics):
    content = RecordDict({"metrics": MetricRecord(metrics)})
    if values is not None:
        content["arrays"] = ArrayRecord({"w": Array(np.array(values, np.float32))})
    LocalGrid(toy.app(), 1)  # lets messages be made
    message = Message(content, dst_node_id=1, message_type="train")
    return Message(Error(5, "gone"), reply_to=message) if failed else message


def test_models_decide_then_metrics_and_failures_come_last():
    first, second = sorted(([1.0], [2.0]), key=lambda values: sort_key(reply(values)))
    wanted = [reply(first, n=1), reply(first, n=2), reply(second, n=1), reply(failed=True)]
    assert sorted([wanted[3], wanted[1], wanted[2], wanted[0]], key=sort_key) == wanted


def test_what_an_app_measured_of_time_does_not_move_a_model():
    slow, fast = ([reply([1.0], s=s), reply([2.0], s=s)] for s in (9.0, 0.1))
    assert [sort_key(a)[1] for a in sorted(slow, key=sort_key)] == [sort_key(a)[1] for a in sorted(fast, key=sort_key)]


def test_a_model_has_the_same_place_whether_it_came_coded_or_not():
    model = toy.start(counters=True)
    assert digest_of(toy.record_of(model)) == Version.of(model).digest


@pytest.mark.parametrize("other", [{"w": [[1.0, 2.0]]}, {"v": [1.0, 2.0]}, {"w": [1.0, 2.0], "v": [0.0]}, {}])
def test_names_and_shapes_belong_to_a_model(other):
    def record(arrays):
        return ArrayRecord({name: Array(np.array(value, np.float32)) for name, value in arrays.items()})

    assert digest_of(record({"w": [1.0, 2.0]})) != digest_of(record(other))


def test_what_is_no_model_has_a_place_too():
    tree, same, other = (ArrayRecord([np.frombuffer(text, np.uint8)]) for text in (b"a tree", b"a tree", b"a trek"))
    assert digest_of(tree) == digest_of(same) != digest_of(other)


def test_a_lazy_model_is_not_decoded_for_its_place(tmp_path, monkeypatch):
    made = publish(toy.start(), base=Version.of(toy.start()))
    held = ReplySource(made.payload, made.version.digest, None, ModelCache(1, tmp_path))
    record = lazy_record(held, made.version.model, sorted(made.version.model))
    monkeypatch.setattr(ReplySource, "array", lambda *_: pytest.fail("decoded"))
    assert digest_of(record) == made.version.digest
