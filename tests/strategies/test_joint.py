"""Joint training over messages, on digits: body rounds, co-training, traffic, failures, resumed runs."""

import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from digits_run import TRAINING, client_app, run, same_models
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from torch import nn

from digits import Digits
from fedretina.dom import DomConfig
from fedretina.errors import BadArgument, FedRetinaError
from fedretina.features import adapt_batchnorm
from fedretina.flower import presets_by_type
from fedretina.strategies import JOINT_TYPE, PeerReuse, ReuseConfig, RunResult, TargetResult, Topology
from fedretina.strategies.peer_reuse import Job
from fedretina.strategies.peer_reuse.facts import TargetRisks, source_risk
from fedretina.strategies.peer_reuse.joint import bodies_of, reply_name, target_of
from fedretina.strategies.peer_reuse.target import TargetWorker
from fedretina.study.tasks import DigitDomains
from fedretina.testing import LocalGrid
from fedretina.train import clean_batches, load_arrays

ONE = Topology(targets=("faint",), sources=("upright", "left", "upside-down"))
BOTH_ROLES = Topology(targets=("faint", "left"), sources=("upright", "left", "upside-down"))
SHORT = {"rounds": 2, "local_epochs": 3, "home_epochs": 6, "baselines": False, "risk_limit": 0.0, "own_limit": 0.0}
TURNS = SHORT | {"body_rounds": 2, "co_training": "turns", "average_every": 2, "alone_last": 1}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run(tmp_path_factory.mktemp("done"), topology=ONE, **TURNS)


def rows(wire, direction, stream):
    found = (row for row in wire.ledger.rows if row.direction == direction and row.kind != "none" and not row.error)
    return [row for row in found if row.stream == stream]


def joint_stream(result):
    (name,) = (stream for stream in result.models if stream.startswith("joint/") and not target_of(stream))
    return name


def test_a_target_learns_with_its_peers(done):
    result, wire = done
    assert not [row.error for row in wire.ledger.rows if row.error]
    last = result.targets["faint"].rounds[-1]
    assert last.metrics["accuracy"] > 70
    assert last.committee["share"] > 50
    assert set(last.peers) == set(ONE.sources)


def test_bodies_travel_as_differences_to_one_stream(done):
    result, wire = done
    joint = joint_stream(result)
    assert {row.kind for row in rows(wire, "down", joint)} == {"keyframe", "delta"}
    for source in ONE.sources:
        assert [row.kind for row in rows(wire, "up", reply_name(joint, source))] == ["delta"] * 2  # two body rounds
    shared = f"{joint}/faint"
    assert [row.kind for row in rows(wire, "up", reply_name(shared, "faint"))] == ["delta"] * 3  # epochs 0-2, 2-3, 3-5
    turns = [len(rows(wire, "up", reply_name(shared, source))) for source in ONE.sources]
    assert turns == [1, 1, 1]


def test_bodies_by_a_preset_take_fewer_bytes_and_models_as_many(done, tmp_path):
    coding = presets_by_type(DomConfig(), {JOINT_TYPE: "coarse"})
    plain, wire = done[1], run(tmp_path, topology=ONE, config=coding, feedback_up=True, **TURNS)[1]

    def sent(ledger, direction, *, bodies):
        found = [row for row in ledger.rows if row.direction == direction and row.stream.startswith("joint/") == bodies]
        return sum(row.wire_bytes for row in found if row.kind == "delta" or not bodies)

    assert sent(wire.ledger, "up", bodies=True) < 0.9 * sent(plain.ledger, "up", bodies=True)
    assert sent(wire.ledger, "down", bodies=True) < sent(plain.ledger, "down", bodies=True)
    for source in ONE.sources:
        assert [row.digest for row in rows(wire, "up", source)] == [row.digest for row in rows(plain, "up", source)]


def test_a_domain_adds_what_its_last_body_lost(tmp_path):
    coding = presets_by_type(DomConfig(), {JOINT_TYPE: "coarse"})
    digests = {}
    for back in (False, True):
        result, wire = run(tmp_path / str(back), topology=ONE, config=coding, feedback_up=back, **TURNS)
        joint = joint_stream(result)
        digests[back] = [[row.digest for row in rows(wire, "up", reply_name(joint, source))] for source in ONE.sources]
    for without, fed in zip(digests[False], digests[True], strict=True):
        assert without[0] == fed[0]  # before it nothing was lost
        assert without[1] != fed[1]


def test_an_average_is_encoded_once_for_all_its_receivers(done):
    result, wire = done
    down = rows(wire, "down", joint_stream(result))
    assert len({row.digest for row in down}) == 3  # the first body, and two averages


def test_home_models_are_made_once(done):
    result, wire = done
    for source in ONE.sources:
        assert [row.round for row in rows(wire, "up", source)] == [1]
    assert set(result.models) == {*ONE.sources, "faint", joint_stream(result), f"{joint_stream(result)}/faint"}


def test_bodies_have_no_head_and_no_statistics(done):
    result, _ = done
    assert set(result.models[joint_stream(result)]) == {
        "0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias",
    }  # fmt: skip  # digits mean the same everywhere: their head is shared


def test_the_same_seed_gives_the_same_run(done, tmp_path):
    again, _ = run(tmp_path, topology=ONE, **TURNS)
    assert again.targets == done[0].targets
    assert same_models(again, done[0])


@pytest.mark.parametrize("nodes", [1, 5])
def test_the_number_of_nodes_changes_nothing_without_a_codec(tmp_path, nodes):
    one, _ = run(tmp_path / "a", topology=BOTH_ROLES, nodes=2, config=None, **TURNS)
    grid = LocalGrid(client_app(tmp_path / "b", Digits(targets=BOTH_ROLES.targets)), nodes)
    other, _ = run(tmp_path / "b", topology=BOTH_ROLES, grid=grid, config=None, **TURNS)
    assert one.targets == other.targets
    assert same_models(one, other)


def test_a_turn_serves_one_of_several_targets(tmp_path, caplog):
    caplog.set_level("INFO", "fedretina.strategies")
    result, wire = run(tmp_path, topology=BOTH_ROLES, nodes=2, **TURNS)
    assert not [row.error for row in wire.ledger.rows if row.error]
    assert all(target.rounds[-1].metrics["accuracy"] > 50 for target in result.targets.values())
    joint = joint_stream(result)
    assert not rows(wire, "up", reply_name(f"{joint}/left", "upright@left"))
    lines = [line for line in caplog.messages if line.startswith("co-training, ")]
    assert len(lines) == 3
    for line in lines:
        served = [part.split(" with ")[1] for part in line.split(": ")[1].split("; ")]
        assert len(set(served)) == 2


@pytest.mark.parametrize("how", ["one", "all"])
def test_the_best_source_or_all_of_them(tmp_path, how):
    result, wire = run(tmp_path, topology=ONE, **TURNS | {"co_training": how})
    shared = f"{joint_stream(result)}/faint"
    counts = {source: len(rows(wire, "up", reply_name(shared, source))) for source in ONE.sources}
    assert counts == {"upright": 3, "left": 0 if how == "one" else 3, "upside-down": 0 if how == "one" else 3}


def test_a_much_worse_source_gets_no_turn(tmp_path):
    result, wire = run(tmp_path, topology=ONE, **TURNS | {"risk_limit": 2.0})
    shared = f"{joint_stream(result)}/faint"
    assert len(rows(wire, "up", reply_name(shared, "upright"))) == 3


LIMITED = TURNS | {"risk_limit": 2.0, "own_limit": 1.0, "local_epochs": 10, "home_epochs": 20, "average_every": 5}


def run_limited(folder, targets, *, sources=("upright", "left", "upside-down"), **settings):
    grid = LocalGrid(client_app(folder, DigitDomains(targets=targets)), 2)
    return run(folder, topology=Topology(targets=targets, sources=sources), grid=grid, **LIMITED | settings)


def co_training_lines(caplog):
    return [line for line in caplog.messages if line.startswith("co-training")]


def test_a_target_without_a_good_source_gets_the_joint_body_and_trains_alone(tmp_path, caplog):
    caplog.set_level("INFO", "fedretina.strategies")
    result, wire = run_limited(tmp_path, ("left",), sources=("faint", "upright", "upside-down"))
    (line,) = (line for line in co_training_lines(caplog) if line.startswith("co-training of left: "))
    assert line.startswith("co-training of left: no source, so the target trains alone; left out: faint, R_m 0.")
    assert line.count("(own risk)") == 3
    joint = joint_stream(result)
    assert rows(wire, "down", joint)
    assert not [row for row in wire.ledger.rows if row.stream.startswith(f"{joint}/left")]
    assert result.targets["left"].rounds[-1].metrics["accuracy"] > 70


def test_limits_are_those_of_each_target(tmp_path, caplog):
    caplog.set_level("INFO", "fedretina.strategies")
    result, _ = run_limited(tmp_path, ("faint", "left"))
    one, other, *schedule = co_training_lines(caplog)
    assert one.startswith("co-training of faint: upright; left out: left, R_m 0.")
    assert other.startswith("co-training of left: no source, ")
    assert len(schedule) == 4
    assert all(line.endswith(": faint with upright; left with no source") for line in schedule)
    assert all(target.rounds[-1].metrics["accuracy"] > 70 for target in result.targets.values())


def test_a_resumed_run_has_the_same_schedule(tmp_path, caplog):
    caplog.set_level("INFO", "fedretina.strategies")
    saved = {}

    def save(number, result):
        saved[number] = {name: list(target.rounds) for name, target in result.targets.items()}, dict(result.models)

    whole, _ = run_limited(tmp_path, ("faint",), config=None, on_round=save, risk_limit=0.0)
    first = co_training_lines(caplog)
    caplog.clear()
    resumed, _ = run_limited(tmp_path, ("faint",), config=None, result=restored(saved[1]), risk_limit=0.0)
    assert co_training_lines(caplog) == first
    assert any("own risk" in line for line in first)
    assert resumed.targets == whole.targets


def test_without_body_rounds_the_shared_body_is_the_best_sources(tmp_path):
    result, wire = run(tmp_path, topology=ONE, **TURNS | {"body_rounds": 0, "co_training": "one"})
    assert [stream for stream in result.models if stream.startswith("joint/")] == [f"joint/{kind_of(result)}/faint"]
    assert result.targets["faint"].rounds[-1].metrics["accuracy"] > 70
    assert not [row for row in wire.ledger.rows if row.error]


def kind_of(result):
    return next(stream for stream in result.models if stream.startswith("joint/")).split("/")[1]


def test_without_sharing_no_weights_of_the_target_reach_the_sources(tmp_path):
    result, wire = run(tmp_path, topology=ONE, **TURNS | {"share": False})
    assert not [row for row in wire.ledger.rows if "/faint" in row.stream]
    assert result.targets["faint"].rounds[-1].metrics["accuracy"] > 70
    assert joint_stream(result)  # the sources' joint body is the start


def test_a_node_decides_for_itself(tmp_path):
    grid = LocalGrid(client_app(tmp_path, Digits(targets=("faint",)), share=False), 2)
    result, wire = run(tmp_path, topology=ONE, grid=grid, **TURNS)
    assert not [row for row in wire.ledger.rows if "/faint" in row.stream]
    assert len(result.targets["faint"].rounds) == 2


def test_a_node_refuses_what_a_server_must_not_ask(tmp_path, monkeypatch):
    monkeypatch.setattr("fedretina.strategies.peer_reuse.joint.JointTraining._sharing_targets", lambda self: ["faint"])
    grid = LocalGrid(client_app(tmp_path, Digits(targets=("faint",)), share=False), 2)
    with pytest.raises(FedRetinaError, match=r"this node does not share weights .*co-training = 'off'"):
        run(tmp_path, topology=ONE, grid=grid, **TURNS)


class Wide(Digits):
    """One source has another kind of model."""

    def model(self, domain, classes):
        width = 64 if domain == "upside-down" else 48
        return nn.Sequential(nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, classes))


def test_a_source_of_another_architecture_votes_and_is_not_averaged(tmp_path):
    grid = LocalGrid(client_app(tmp_path, Wide()), 2)
    result, wire = run(tmp_path, topology=ONE, grid=grid, **TURNS)
    assert not [row for row in wire.ledger.rows if row.stream.endswith("@upside-down")]
    assert "upside-down" in result.targets["faint"].rounds[-1].peers
    assert not [row for row in wire.ledger.rows if row.error]


class Failing(LocalGrid):
    """One domain fails in one kind of work."""

    def __init__(self, app, nodes, work):
        super().__init__(app, nodes)
        self.work = work

    def answer(self, message, number):
        job = message.content.config_records.get("job")
        if job is not None and self.work in str(job["json"]):
            return Message(RecordDict({"error": error("the disk is full")}), reply_to=message)
        return super().answer(message, number)


def error(text):
    return ConfigRecord({"text": text})


@pytest.mark.parametrize("work", ['"left": "body"', '"left": "turn"'])
def test_a_source_that_fails_loses_its_turn(tmp_path, work, caplog):
    grid = Failing(client_app(tmp_path, Digits()), 4, work)
    result, _ = run(tmp_path, topology=ONE, grid=grid, **TURNS)
    assert "left lost a turn: the disk is full" in caplog.text
    assert result.targets["faint"].rounds[-1].metrics["accuracy"] > 70


def test_a_resumed_run_makes_no_model_from_home_again(tmp_path):
    saved, asked = {}, []

    def save(result):
        saved.update(result.models)
        raise KeyboardInterrupt

    class Watched(LocalGrid):
        def answer(self, message, number):
            job = message.content.config_records.get("job")
            asked.extend([] if job is None else json.loads(str(job["json"]))["work"].values())
            return super().answer(message, number)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, topology=ONE, on_home=save, **TURNS)
    grid = Watched(client_app(tmp_path, Digits()), 2)
    result, _ = run(tmp_path, topology=ONE, grid=grid, result=RunResult(models=dict(saved)), **TURNS)
    assert {"describe", "body", "turn", "reuse"} <= set(asked)
    assert "source" not in asked
    assert result.targets["faint"].rounds[-1].metrics["accuracy"] > 70


def test_a_target_that_fails_ends_the_run(tmp_path):
    grid = Failing(client_app(tmp_path, Digits()), 4, '"faint": "co-train"')
    with pytest.raises(FedRetinaError, match="the node of the target faint failed: the disk is full"):
        run(tmp_path, topology=ONE, grid=grid, **TURNS)


@pytest.mark.parametrize("topology", [ONE, BOTH_ROLES])
@pytest.mark.parametrize("killed_in", ["first round", "first round, with models from home", "second round"])
def test_a_killed_run_gives_the_same_result(tmp_path, topology, killed_in):
    """Without a codec, since a version that is published twice is a difference to itself the second time."""
    saved = {}
    last = {"first round": None, "first round, with models from home": 0, "second round": 1}[killed_in]

    def save(number, result):
        saved[number] = {name: list(target.rounds) for name, target in result.targets.items()}, dict(result.models)

    class Killed(LocalGrid):
        def answer(self, message, number):
            job = message.content.config_records.get("job")
            place = f'"round": {1 if last == 0 else 2}'
            if job is not None and place in str(job["json"]) and '"reuse"' in str(job["json"]).split('"work"')[1]:
                raise KeyboardInterrupt
            return super().answer(message, number)

    settings = TURNS | {"topology": topology, "config": None}
    uninterrupted, _ = run(tmp_path / "uninterrupted", **settings)
    folder, task = tmp_path / "killed", Digits(targets=topology.targets)
    with pytest.raises(KeyboardInterrupt):
        run(folder, grid=Killed(client_app(folder, task), 2), on_round=save, on_home=partial(save, 0), **settings)
    resumed, _ = run(folder, **settings, result=None if last is None else restored(saved[last]))
    assert resumed.targets == uninterrupted.targets
    assert same_models(resumed, uninterrupted)


def restored(state):
    rounds, models = state
    return RunResult({name: TargetResult(list(entries)) for name, entries in rounds.items()}, dict(models))


@pytest.mark.parametrize("value", [np.float32([1, np.nan]), np.float32([[1, 2]])])
def test_a_bad_body_is_left_out(value, caplog):
    good = np.float32([1, 2])
    records = {"joint/k@a": ArrayRecord({"w": Array(good)}), "joint/k@b": ArrayRecord({"w": Array(value)})}
    reply = SimpleNamespace(content=RecordDict(records))
    found = bodies_of([reply], "joint/k", ("a", "b", "c"), sent=ArrayRecord({"w": Array(good)}))
    assert list(found) == ["a"]
    assert "the body of b is left out" in caplog.text


def test_risks_of_a_reply():
    assert TargetRisks.of({"upright": 75.0, "own/risk": 0.3}) == TargetRisks({"upright": 0.25}, 0.3)
    assert TargetRisks.of({"upright": 75.0}).own is None


def test_names_of_records():
    assert target_of("joint/1f2e/market1501") == "market1501"
    assert target_of("joint/1f2e") == ""
    assert source_risk(75.0) == 0.25


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"co_training": "some"}, "co-training = 'some': allowed are 'off', 'one', 'turns', 'all'"),
        ({"turns_by": "luck"}, "turns-by = 'luck': allowed are"),
        ({"body_rounds": -1}, "body-rounds = -1: an integer of 0 or more"),
        ({"average_every": 0}, "average-every = 0: an integer of 1 or more"),
        ({"share_target": 0.0}, r"share-target = 0\.0: a number above 0, at most 1"),
        ({"risk_limit": 0.5}, r"risk-limit = 0\.5: 0, or a number of 1 or more"),
        ({"own_limit": -1.0}, r"own-limit = -1\.0: a number of 0 or more"),
        ({"body_rounds": 2, "init": "scratch"}, "init = 'scratch' with body-rounds = 2.* say init = 'best-peer'"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(BadArgument, match=message):
        ReuseConfig(**settings)


@pytest.mark.parametrize(("home_epochs", "rounds"), [(6, 6), (0, 0)])
def test_there_is_at_most_one_body_round_an_epoch_at_home(home_epochs, rounds):
    training = replace(TRAINING, home_epochs=home_epochs)
    assert PeerReuse(ONE, training, ReuseConfig(body_rounds=9), run="a").reuse.body_rounds == rounds


def test_a_version_after_an_average_has_statistics_of_the_average(tmp_path):
    """The last epoch is averaged, so what is published is an average."""
    result, _ = run(tmp_path, topology=ONE, config=None, **TURNS | {"alone_last": 0})
    task = Digits(targets=ONE.targets)
    model = task.model("faint", 10)
    load_arrays(model, {name: array.numpy() for name, array in result.models["faint"].items()}, "faint")
    before = {name: value.clone() for name, value in model.state_dict().items() if "running" in name}
    adapt_batchnorm(model, clean_batches(task, task.splits("faint")))
    for name, value in before.items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    assert before


def test_the_last_average_goes_along_into_the_round_after_it(tmp_path):
    grid = LocalGrid(client_app(tmp_path, Digits(targets=ONE.targets)), 2)
    result, _ = run(tmp_path, topology=ONE, config=None, grid=grid, **TURNS | {"alone_last": 3})
    jobs = [Job.of(message) for message in grid.sent if "job" in message.content.config_records]
    (last,) = [job for job in jobs if job.round == 2 and job.work.get("faint") == "reuse"]
    assert last.bodies["faint"] == [f"{joint_stream(result)}/faint"]
    assert last.spans["faint"] == [3, 6, 6]


@pytest.mark.parametrize("work", ["body", "turn"])
def test_a_source_that_fails_on_the_targets_node_loses_its_turn(tmp_path, work, monkeypatch, caplog):
    honest = getattr(TargetWorker, work)

    def diverge(self, bodies):
        if self.domain == "left":
            raise BadArgument("the training of 'left' diverged")
        honest(self, bodies)

    monkeypatch.setattr(TargetWorker, work, diverge)
    result, _ = run(tmp_path, topology=ONE, nodes=1, **TURNS)
    assert "left lost a turn: the training of 'left' diverged" in caplog.text
    assert result.targets["faint"].rounds[-1].metrics["accuracy"] > 70


def test_co_training_without_epochs_is_told_and_off(tmp_path, caplog):
    result, _ = run(tmp_path, topology=ONE, **TURNS | {"alone_last": 6})
    assert "no co-training: alone-last = 6 of 6 epochs" in caplog.text
    assert not [stream for stream in result.models if target_of(stream)]


def test_a_source_that_came_late_changes_no_schedule_of_a_resumed_run(tmp_path, caplog):
    caplog.set_level("INFO", "fedretina.strategies")
    saved = {}

    def save(number, result):
        saved[number] = {name: list(target.rounds) for name, target in result.targets.items()}, dict(result.models)

    settings = TURNS | {"rounds": 3, "body_rounds": 1}
    grid = Failing(client_app(tmp_path, Digits(targets=ONE.targets)), 4, '"upright": "source"')
    run(tmp_path, topology=ONE, config=None, grid=grid, on_round=save, **settings)
    first = co_training_lines(caplog)
    late = run(tmp_path / "late", topology=ONE, config=None, on_round=None, **settings)[0].models["upright"]
    caplog.clear()
    rounds, models = saved[1]
    run(tmp_path, topology=ONE, config=None, result=restored((rounds, models | {"upright": late})), **settings)
    assert co_training_lines(caplog) == first
    assert "upright" not in "".join(first)
