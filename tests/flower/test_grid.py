"""DomGrid and dom_mod between a strategy and its nodes: stock strategies, lost bases, damage."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAdam, FedAvg, FedMedian

from fedretina.dom import DomConfig, digest
from fedretina.flower import DomGrid, DomMod, header, records
from fedretina.flower.sizes import message_size
from fedretina.ledger import totals
from fedretina.testing import LocalGrid

RNG = np.random.default_rng(0)
START = {
    "w": RNG.normal(size=(32, 64)).astype(np.float32),
    "b": RNG.normal(size=32).astype(np.float32),
    "n": np.array(7, np.int64),
}


def toy_app(folder, *, stream=False):
    app = ClientApp(mods=[DomMod(folder)])

    @app.train()
    def train(message, context):
        place = context.node_config["partition-id"]
        rng = np.random.default_rng((place, int(message.metadata.group_id or 0)))
        given = message.content.array_records["arrays"]
        model = {name: array.numpy() for name, array in given.items()}
        new = {
            k: v + (0.01 * rng.normal(size=v.shape)).astype(v.dtype) if v.dtype.kind == "f" else v for k, v in model.items()
        }
        name = f"node-{place}" if stream else "arrays"
        record = ArrayRecord({k: Array(v) for k, v in new.items()})
        metrics = MetricRecord({"num-examples": 10 + place})
        return Message(RecordDict({name: record, "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def evaluate(message, context):
        return Message(RecordDict({"metrics": MetricRecord({"num-examples": 1, "loss": 0.5})}), reply_to=message)

    return app


def start():
    return ArrayRecord({name: Array(value) for name, value in START.items()})


def ask(model=START, node=100, number=1):
    record = ArrayRecord({name: Array(value) for name, value in model.items()})
    return Message(
        RecordDict({"arrays": record, "config": ConfigRecord({"lr": 0.1})}),
        dst_node_id=node,
        message_type="train",
        group_id=str(number),
    )


@pytest.mark.parametrize("strategy", [FedAvg, FedAdam, FedMedian])
def test_stock_strategies_end_near_where_they_end_without_dom(tmp_path, strategy):
    ends = {}
    for name in ("plain", "dom"):
        grid = LocalGrid(toy_app(tmp_path), 4)
        wire = (
            grid if name == "plain" else DomGrid(grid, DomConfig(relative_error=0.02, keyframe_error=1e-4), store=tmp_path)
        )
        initial = ArrayRecord({k: Array(v) for k, v in START.items() if v.dtype.kind == "f"})
        ends[name] = strategy(min_train_nodes=4, min_evaluate_nodes=4, min_available_nodes=4).start(
            wire, initial, num_rounds=3
        )
    for key, array in ends["plain"].arrays.items():
        assert np.abs(array.numpy() - ends["dom"].arrays[key].numpy()).max() < 0.02


def test_the_ledger_counts_what_is_sent(tmp_path):
    inner = LocalGrid(toy_app(tmp_path), 2)
    wire = DomGrid(inner, store=tmp_path)
    wire.send_and_receive([ask(node=100), ask(node=101)])
    assert totals(wire.ledger.rows).wire_down == sum(message_size(m.content, "down") for m in inner.sent)
    assert totals(wire.ledger.rows).raw_down == sum(message_size(ask(node=n).content, "down") for n in (100, 101))
    assert {(row.direction, row.kind, row.round) for row in wire.ledger.rows} == {
        ("down", "keyframe", 1),
        ("up", "delta", 1),
    }


def test_without_a_codec_only_counting_remains(tmp_path):
    wire = DomGrid(LocalGrid(toy_app(tmp_path), 2), None)
    (reply,) = wire.send_and_receive([ask()])
    assert "arrays" in reply.content.array_records
    assert totals(wire.ledger.rows).factor == 1


def test_the_app_and_the_strategy_see_plain_records(tmp_path):
    message = ask()
    before = message_size(message.content, "down")
    (reply,) = DomGrid(LocalGrid(toy_app(tmp_path), 1), store=tmp_path).send_and_receive([message])
    assert set(reply.content) == {"arrays", "metrics"}
    assert {k: a.numpy().dtype for k, a in reply.content.array_records["arrays"].items()} == {
        k: v.dtype for k, v in START.items()
    }
    assert reply.metadata.src_node_id == 100
    assert message_size(message.content, "down") == before


def test_a_node_that_lost_its_models_is_served_within_the_round(tmp_path):
    inner = LocalGrid(toy_app(tmp_path / "node"), 1)
    wire = DomGrid(inner, store=tmp_path / "server")
    (reply,) = wire.send_and_receive([ask()])
    for file in (tmp_path / "node").rglob("*"):
        if file.is_file():
            file.unlink()
    model = {name: array.numpy() for name, array in reply.content.array_records["arrays"].items()}
    (reply,) = wire.send_and_receive([ask(model, number=2)])
    assert reply.has_content()
    assert "UnknownBase" in "".join(row.error for row in wire.ledger.rows)
    assert wire.ledger.rows[-1].error == ""


def test_a_damaged_reply_is_an_error_and_nothing_is_lost(tmp_path):
    class Damaging(LocalGrid):
        def answer(self, message, number):
            reply = super().answer(message, number)
            if number == 1:
                payload = bytearray(records.unpack(reply.content.array_records["arrays"])[0])
                payload[len(payload) // 2] ^= 1
                reply.content["arrays"] = records.pack([bytes(payload)])
            return reply

    wire = DomGrid(Damaging(toy_app(tmp_path), 2), store=tmp_path)
    replies = list(wire.send_and_receive([ask(node=100), ask(node=101)]))
    assert sorted(reply.has_error() for reply in replies) == [False, True]
    assert "Corrupt" in next(r for r in replies if r.has_error()).error.reason
    assert any("Corrupt" in row.error for row in wire.ledger.rows)


def test_a_late_node_leaves_a_row(tmp_path):
    class Silent(LocalGrid):
        def pull_messages(self, message_ids):
            return []

    wire = DomGrid(Silent(toy_app(tmp_path), 1), store=tmp_path)
    assert wire.send_and_receive([ask()], timeout=0.01) == []
    assert wire.ledger.rows[-1].error == "no reply in time"


def test_nodes_own_their_streams(tmp_path):
    inner = LocalGrid(toy_app(tmp_path, stream=True), 2)
    wire = DomGrid(inner, uplink="stream", store=tmp_path)
    wire.send_and_receive([ask(node=100), ask(node=101)])
    assert set(wire.streams.ownership.owners()) == {"node-0", "node-1"}
    inner.contexts[101].node_config["partition-id"] = 0
    (reply,) = wire.send_and_receive([ask(node=101, number=2)])
    assert "Untrusted" in reply.error.reason


def test_a_published_version_is_relayed_under_its_own_digest(tmp_path):
    inner = LocalGrid(toy_app(tmp_path, stream=True), 2)
    wire = DomGrid(inner, uplink="stream", store=tmp_path)
    (reply,) = wire.send_and_receive([ask(node=100)])
    record = reply.content.array_records["node-0"]
    up = next(row for row in wire.ledger.rows if row.direction == "up")
    message = Message(RecordDict({"arrays": record}), dst_node_id=101, message_type="train", group_id="2")
    wire.send_and_receive([message])
    down = [row for row in wire.ledger.rows if row.direction == "down"][-1]
    assert (down.stream, down.digest, down.version) == ("node-0", up.digest, up.version)
    assert digest(records.to_model(record)) == up.digest


def test_rejected_messages_leave_a_row(tmp_path):
    class Full(LocalGrid):
        def push_messages(self, messages):
            return [None]

    wire = DomGrid(Full(toy_app(tmp_path), 1), store=tmp_path)
    assert list(wire.send_and_receive([ask()])) == []
    assert wire.ledger.rows[-1].error == "rejected by the grid"


def test_messages_from_a_plain_grid_pass_the_mod_untouched(tmp_path):
    (reply,) = LocalGrid(toy_app(tmp_path), 1).send_and_receive([ask()])
    assert header.NAME not in reply.content
