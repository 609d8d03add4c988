"""Every strategy of Flower's, unchanged, ends where it ends without DoM; what is no weights passes through."""

import random

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.client import NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.clientapp.mod import LocalDpMod, adaptiveclipping_mod, fixedclipping_mod, message_size_mod
from flwr.common import ndarrays_to_parameters
from flwr.server import LegacyContext, ServerConfig
from flwr.server.strategy import FedAvg as LegacyFedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow
from flwr.serverapp import strategy as flower

import toy
from fedretina.dom import DomConfig
from fedretina.flower import DomGrid, DomMod
from fedretina.flower.ordering import sort_key
from fedretina.ledger import totals
from fedretina.testing import LocalGrid

NODES = 7
FINE = DomConfig(relative_error=0.02, keyframe_error=1e-4)
EXACT = DomConfig(lossless=True)
ALL = {"min_train_nodes": NODES, "min_evaluate_nodes": NODES, "min_available_nodes": NODES}
STRATEGIES = {
    "FedAvg": lambda: flower.FedAvg(**ALL),
    "FedProx": lambda: flower.FedProx(proximal_mu=0.1, **ALL),
    "FedAdam": lambda: flower.FedAdam(eta=0.01, tau=0.1, **ALL),
    "FedAdagrad": lambda: flower.FedAdagrad(eta=0.01, tau=0.1, **ALL),
    "FedYogi": lambda: flower.FedYogi(eta=0.01, tau=0.1, **ALL),
    "FedAvgM": lambda: flower.FedAvgM(server_momentum=0.5, **ALL),
    "FedMedian": lambda: flower.FedMedian(**ALL),
    "FedTrimmedAvg": lambda: flower.FedTrimmedAvg(beta=0.2, **ALL),
    "Krum": lambda: flower.Krum(num_malicious_nodes=1, **ALL),
    "MultiKrum": lambda: flower.MultiKrum(num_malicious_nodes=1, num_nodes_to_select=3, **ALL),
    "Bulyan": lambda: flower.Bulyan(num_malicious_nodes=1, **ALL),
    "QFedAvg": lambda: flower.QFedAvg(client_learning_rate=0.1, **ALL),
    "DP, server": lambda: flower.DifferentialPrivacyServerSideFixedClipping(flower.FedAvg(**ALL), 1e-6, 5.0, NODES),
    "DP, server, adaptive": lambda: flower.DifferentialPrivacyServerSideAdaptiveClipping(flower.FedAvg(**ALL), 1e-4, NODES),
    "DP, client": lambda: flower.DifferentialPrivacyClientSideFixedClipping(flower.FedAvg(**ALL), 1e-6, 5.0, NODES),
    "DP, client, adaptive": lambda: flower.DifferentialPrivacyClientSideAdaptiveClipping(flower.FedAvg(**ALL), 1e-4, NODES),
}
MODS = {"DP, client": [fixedclipping_mod], "DP, client, adaptive": [adaptiveclipping_mod]}


class InOrder(LocalGrid):
    """Gives replies in the order in which a `DomGrid` gives them: sums of floats depend on it."""

    def send_and_receive(self, messages, *, timeout=None):
        return sorted(super().send_and_receive(messages), key=sort_key)


def run(name, folder, config, *, plain=False, rounds=3, **options):
    mods = MODS.get(name, [])
    inner = (InOrder if plain else LocalGrid)(toy.app(*([] if plain else [DomMod(folder)]), train_mods=tuple(mods)), NODES)
    grid = inner if plain else DomGrid(inner, config, store=folder, **options)
    random.seed(1)
    np.random.seed(1)
    return STRATEGIES[name]().start(grid, toy.record_of(toy.start()), num_rounds=rounds), grid


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_ends_where_it_ends_without_dom(tmp_path, name):
    (plain, _), (ours, grid) = (run(name, tmp_path, FINE, plain=plain) for plain in (True, False))
    assert set(ours.arrays) == set(plain.arrays)
    start, wanted, got = (
        np.concatenate([array.ravel() for array in model.values()])
        for model in (toy.start(), toy.model_of(plain.arrays), toy.model_of(ours.arrays))
    )
    assert np.linalg.norm(got - wanted) < 0.15 * np.linalg.norm(wanted - start)
    assert ours.evaluate_metrics_clientapp[3]["loss"] == pytest.approx(plain.evaluate_metrics_clientapp[3]["loss"], rel=0.01)
    assert not any(row.error for row in grid.ledger.rows)
    assert {row.round for row in grid.ledger.rows} == {1, 2, 3}


@pytest.mark.parametrize("name", ["FedAvg", "FedMedian", "Krum", "Bulyan", "QFedAvg", "FedAdam"])
def test_with_lossless_coding_it_is_the_same_bit_by_bit(tmp_path, name):
    (plain, _), (ours, _) = (run(name, tmp_path, EXACT, plain=plain) for plain in (True, False))
    for key, array in plain.arrays.items():
        got, wanted = ours.arrays[key].numpy(), array.numpy()
        if wanted.dtype == np.float64:  # nodes get the float32 that they had: what they would round it to
            assert np.allclose(got, wanted, atol=1e-6)
        else:
            assert np.array_equal(got, wanted)


@pytest.mark.parametrize("cache_bytes", [1, 2**28])
@pytest.mark.parametrize("name", ["FedAvg", "FedMedian", "Bulyan", "QFedAvg"])
def test_how_much_is_kept_decoded_changes_nothing(tmp_path, name, cache_bytes):
    (plain, _), (ours, _) = (run(name, tmp_path, EXACT, plain=p, cache_bytes=cache_bytes, rounds=2) for p in (True, False))
    assert all(np.allclose(a.numpy(), ours.arrays[key].numpy(), atol=1e-6) for key, a in plain.arrays.items())


def test_evaluation_after_training_sends_nothing_anew(tmp_path):
    _, grid = run("FedAvg", tmp_path, DomConfig(), rounds=4)
    down = [row for row in grid.ledger.rows if row.direction == "down" and row.node == 100]
    assert [row.kind for row in down] == ["keyframe", "delta", "none", "delta", "none", "delta", "none", "delta"]
    assert all(row.wire_bytes < 2000 for row in down if row.kind == "none")


def test_dtypes_and_counters_come_back(tmp_path):
    seen = []

    def look(message, context, call_next):
        for record in message.content.array_records.values():
            seen.append({name: (array.numpy().dtype.name, array.numpy().tolist()) for name, array in record.items()})
        return call_next(message, context)

    inner = LocalGrid(toy.app(DomMod(tmp_path), look), NODES)
    start = toy.start(counters=True)
    STRATEGIES["FedAdam"]().start(DomGrid(inner, EXACT, store=tmp_path), toy.record_of(start), num_rounds=2)
    assert {dtype for model in seen for name, (dtype, _) in model.items() if "tracked" not in name} == {"float32"}
    assert {dtype for model in seen for dtype, _ in [model["bn.num_batches_tracked"]]} == {"int64"}
    seen.clear()
    inner = LocalGrid(toy.app(DomMod(tmp_path), look), NODES)
    STRATEGIES["FedAvg"]().start(DomGrid(inner, EXACT, store=tmp_path), toy.record_of(start), num_rounds=3)
    assert seen[-1]["bn.num_batches_tracked"] == ("int64", 21)


def test_feedback_brings_the_sum_of_updates_nearer(tmp_path):
    coarse = DomConfig(relative_error=0.7, rounding="deadzone")
    plain, _ = run("FedAvg", tmp_path, None, plain=True, rounds=8)
    errors = {}
    for name, options in {
        "none": {},
        "up": {"feedback_up": True},
        "both": {"feedback_up": True, "feedback_down": STRATEGIES["FedAvg"]()},
    }.items():
        ours, _ = run("FedAvg", tmp_path / name, coarse, rounds=8, **options)
        errors[name] = np.linalg.norm(ours.arrays["w"].numpy() - plain.arrays["w"].numpy())
    assert errors["both"] < errors["up"] < errors["none"]


def test_the_trees_of_fedxgb_pass_untouched(tmp_path):
    app, seen = ClientApp(mods=[DomMod(tmp_path)]), []

    @app.train()
    def train(message, context):
        seen.append(message.content["arrays"]["0"].numpy().tobytes())
        tree = np.frombuffer(b'{"learner": "grown"}', np.uint8)
        metrics = MetricRecord({"num-examples": 1})
        return Message(RecordDict({"arrays": ArrayRecord([tree]), "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def evaluate(message, context):
        return Message(RecordDict({"metrics": MetricRecord({"num-examples": 1, "auc": 0.5})}), reply_to=message)

    grid = DomGrid(LocalGrid(app, 2), store=tmp_path)
    result = flower.FedXgbCyclic().start(grid, ArrayRecord([np.frombuffer(b"a tree", np.uint8)]), num_rounds=2)
    assert seen[0] == b"a tree"
    assert result.arrays["0"].numpy().tobytes() == b'{"learner": "grown"}'
    assert {row.kind for row in grid.ledger.rows if row.stream} == {"raw"}
    assert not any(row.error for row in grid.ledger.rows)


def test_a_model_that_diverged_travels_as_it_is(tmp_path):
    broken = toy.start() | {"b": np.full(32, np.nan, np.float32)}
    grid = DomGrid(LocalGrid(toy.app(DomMod(tmp_path)), 1), store=tmp_path)
    (reply,) = grid.send_and_receive([toy.ask(broken)])
    assert np.isnan(toy.model_of(reply.content["arrays"])["b"]).all()
    assert [row.kind for row in grid.ledger.rows] == ["raw", "raw"]


@pytest.mark.parametrize("other", [message_size_mod, LocalDpMod(1e6, 1e-6, 1.0, 0.5)])
def test_other_mods_compose_behind_dom_mod(tmp_path, other):
    grid = DomGrid(LocalGrid(toy.app(DomMod(tmp_path), other), 1), FINE, store=tmp_path)
    (plain,) = LocalGrid(toy.app(), 1).send_and_receive([toy.ask(toy.start())])
    (ours,) = grid.send_and_receive([toy.ask(toy.start())])
    wanted, got = (toy.model_of(reply.content["arrays"]) for reply in (plain, ours))
    assert np.abs(wanted["w"] - got["w"]).max() < 0.01


def test_a_mod_before_dom_mod_is_refused_with_the_remedy(tmp_path):
    grid = DomGrid(LocalGrid(toy.app(fixedclipping_mod, DomMod(tmp_path)), 1), store=tmp_path)
    (reply,) = grid.send_and_receive([toy.ask(toy.start(), **{"dpfixed.clipping_norm": 1.0})])
    assert "dom_mod is the FIRST mod" in reply.error.reason
    assert reply.metadata.src_node_id == 100
    with pytest.raises(TypeError, match="put dom_mod first"):
        DomGrid(LocalGrid(toy.app(LocalDpMod(1.0, 1.0, 1.0, 0.5), DomMod(tmp_path)), 1), store=tmp_path).send_and_receive(
            [toy.ask(toy.start())]
        )


def test_an_app_without_dom_mod_reads_the_remedy(tmp_path):
    with pytest.raises(TypeError, match="put dom_mod first"):
        DomGrid(LocalGrid(toy.app(), 1), store=tmp_path).send_and_receive([toy.ask(toy.start())])


def test_bytes_fall(tmp_path):
    _, grid = run("FedAvg", tmp_path, DomConfig(), rounds=6)
    assert totals(grid.ledger.rows).factor > 3  # of messages with 8 kB; the envelopes are as they were


class Client(NumPyClient):
    def __init__(self, place):
        self.place = place

    def get_parameters(self, config):
        return list(toy.start().values())

    def fit(self, parameters, config):
        goal = np.random.default_rng(self.place).normal(size=parameters[0].shape)
        return [parameters[0] + (0.1 * (goal - parameters[0])).astype(np.float32), *parameters[1:]], 10, {}

    def evaluate(self, parameters, config):
        return float(np.abs(parameters[0]).mean()), 10, {}


def legacy(folder, *, plain, secure=False):
    mods = ([] if plain else [DomMod(folder)]) + ([secaggplus_mod] if secure else [])
    app = ClientApp(lambda context: Client(int(context.node_config["partition-id"])).to_client(), mods=mods)
    inner = LocalGrid(app, 3)
    grid = inner if plain else DomGrid(inner, FINE, store=folder)
    first = ndarrays_to_parameters(list(toy.start().values())) if secure else None
    strategy = LegacyFedAvg(min_fit_clients=3, min_evaluate_clients=3, min_available_clients=3, initial_parameters=first)
    context = LegacyContext(Context(1, 1, {}, RecordDict(), {}), ServerConfig(num_rounds=3), strategy)
    fit = SecAggPlusWorkflow(3, 2, clipping_range=8.0) if secure else None
    DefaultWorkflow(fit_workflow=fit)(grid, context)
    (record,) = context.state.array_records.values()
    return [array.numpy() for array in record.values()], context.history.losses_distributed, grid


@pytest.mark.parametrize("secure", [False, True])
def test_the_legacy_workflow_and_secure_aggregation(tmp_path, secure):
    plain, plain_losses, _ = legacy(tmp_path, plain=True, secure=secure)
    ours, losses, grid = legacy(tmp_path, plain=False, secure=secure)
    for a, b in zip(plain, ours, strict=True):
        assert np.abs(a - b).max() < 0.02
    assert losses[-1][1] == pytest.approx(plain_losses[-1][1], rel=0.01)
    assert not any(row.error for row in grid.ledger.rows)
    assert {"delta", "none"} <= {row.kind for row in grid.ledger.rows if row.direction == "down"}
    if secure:  # what is masked looks like noise, and is in no ArrayRecord: it goes up as it is
        assert not any(row.kind == "delta" for row in grid.ledger.rows if row.direction == "up")


def test_models_that_differ_within_a_call_get_streams_of_their_own(tmp_path):
    inner = LocalGrid(toy.app(DomMod(tmp_path)), 3)
    grid = DomGrid(inner, DomConfig(), store=tmp_path)
    rng = np.random.default_rng(3)
    models = {node: {"w": rng.normal(size=(64, 64)).astype(np.float32)} for node in inner.contexts}
    for number in (1, 2):
        replies = grid.send_and_receive([toy.ask(model, node, number) for node, model in models.items()])
        models = {reply.metadata.src_node_id: toy.model_of(reply.content["arrays"]) for reply in replies}
    down = [(row.round, row.kind) for row in grid.ledger.rows if row.direction == "down"]
    assert sorted(down) == [(1, "keyframe")] * 3 + [(2, "delta")] * 3
    assert len({row.stream for row in grid.ledger.rows if row.direction == "down"}) == 3


def test_a_loop_of_ones_own(tmp_path):
    grid = DomGrid(LocalGrid(toy.app(DomMod(tmp_path)), 3), FINE, store=tmp_path)
    model = toy.start()
    for number in range(1, 4):
        names = [next(iter(grid.push_messages([toy.ask(model, node, number)]))) for node in grid.get_node_ids()]
        replies = [reply for name in reversed(names) for reply in grid.pull_messages([name])]
        assert [reply.metadata.reply_to_message_id for reply in replies] == names[::-1]
        models = [toy.model_of(reply.content["arrays"]) for reply in replies]
        model = {key: np.mean([m[key] for m in models], axis=0) for key in model}
    down = [row for row in grid.ledger.rows if row.direction == "down"]
    assert [row.kind for row in down] == ["keyframe"] * 3 + ["delta"] * 6
    assert {row.stream for row in down} == {"arrays"}


def test_a_schedule_by_direction_message_type_and_round(tmp_path):
    def schedule(leg):
        if leg.message_type == "evaluate":
            return DomConfig(lossless=True)
        return DomConfig(relative_error=0.01 if leg.round < 3 else 0.5)

    _, grid = run("FedAvg", tmp_path, schedule, rounds=4)
    deltas = [row for row in grid.ledger.rows if row.direction == "up" and row.kind == "delta"]
    up = {number: sum(row.wire_bytes for row in deltas if row.round == number) for number in (2, 3)}
    assert up[2] > 1.3 * up[3]


def test_up_may_stay_as_it_is(tmp_path):
    _, grid = run("FedAvg", tmp_path, lambda leg: FINE if leg.direction == "down" else None)
    assert {row.kind for row in grid.ledger.rows if row.direction == "up" and row.raw_bytes > 5000} == {"raw"}
    assert "delta" in {row.kind for row in grid.ledger.rows if row.direction == "down"}
    with pytest.raises(Exception, match="lossless"):
        DomGrid(LocalGrid(toy.app(), 1), lambda leg: FINE if leg.direction == "up" else None, store=tmp_path)


def test_configuration_is_in_config_records_only(tmp_path):
    message = toy.ask(toy.start())
    message.content["more"] = ConfigRecord({"a": 1})
    message.content["other"] = ArrayRecord({"x": Array(np.ones(1000, np.float32))})
    inner = LocalGrid(toy.app(DomMod(tmp_path)), 1)
    inner.app = ClientApp(mods=[DomMod(tmp_path)])

    @inner.app.train()
    def train(message, context):
        return Message(RecordDict({"seen": ConfigRecord({"names": list(message.content)})}), reply_to=message)

    (reply,) = DomGrid(inner, store=tmp_path).send_and_receive([message])
    assert list(reply.content) == ["seen"]
    assert reply.content["seen"]["names"] == ["arrays", "config", "more", "other"]
