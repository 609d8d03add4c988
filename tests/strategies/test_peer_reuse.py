"""PeerReuse end to end on digits, in one process: what it learns, what it sends, how it fails and goes on."""

import json
import shutil
from dataclasses import replace

import pytest
from digits_run import TARGET, TOPOLOGY, client_app, run, same_models
from flwr.app import ConfigRecord
from torch import nn

from digits import Digits
from fedretina.errors import BadArgument, FedRetinaError
from fedretina.ledger import totals
from fedretina.reuse import theorem_alpha
from fedretina.strategies.peer_reuse import Job, RunResult, TargetResult
from fedretina.testing import LocalGrid


def of_target(result):
    return result.targets[TARGET]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run(tmp_path_factory.mktemp("done"))


def test_reuse_beats_the_target_alone(done):
    result, _ = done
    reuse = of_target(result).rounds[-1].metrics["accuracy"]
    assert reuse > of_target(result).baselines["alone"]["accuracy"] + 2
    assert set(of_target(result).baselines) == {"alone", "full", "finetune"}
    assert of_target(result).finetuned in TOPOLOGY.sources


def test_a_committee_labels_and_reports_its_accuracy(done):
    last = of_target(done[0]).rounds[-1]
    assert set(last.metrics) == {"accuracy"}
    assert last.committee["share"] > 50
    assert last.committee["accuracy"] > 80
    assert last.committee["new"] == 0  # a classification knows its classes


class FiveKnown(Digits):
    """Retrieval: the target's labels show five digits, and its unlabelled samples all ten."""

    kind, head = "retrieval", "3"

    def splits(self, domain):
        splits = super().splits(domain)
        known = splits.labels < 5
        return replace(splits, inputs=splits.inputs[known], labels=splits.labels[known]) if domain == TARGET else splits

    def loss(self, output, labels):
        known = labels < output.shape[1]
        return super().loss(output[known], labels[known]) if known.any() else 0 * output.sum()


@pytest.mark.parametrize("below", [0.0, 0.2])
def test_new_classes_are_made_if_they_are_wanted(tmp_path, below):
    grid = LocalGrid(client_app(tmp_path, FiveKnown()), 2)
    result, _ = run(tmp_path, grid=grid, rounds=1, baselines=False, new_classes_below=below)
    assert (of_target(result).rounds[-1].committee["new"] > 0) == (below > 0)


def test_without_a_committee_it_is_eq_1_alone(done, tmp_path):
    result, _ = run(tmp_path, committee=False, baselines=False)
    assert not of_target(result).rounds[-1].committee
    assert of_target(result).rounds[-1].metrics["accuracy"] > of_target(done[0]).baselines["alone"]["accuracy"]
    assert of_target(result).rounds[-1].alpha["upright"] > of_target(result).rounds[-1].alpha["left"]


def test_without_eq_1_theorem_1_gives_the_weights_of_the_committee(tmp_path):
    result, _ = run(tmp_path, gamma=0.0, rounds=1, baselines=False)
    assert of_target(result).rounds[0].committee["share"] > 50
    assert of_target(result).rounds[0].alpha["upright"] > 2 * of_target(result).rounds[0].alpha["left"]
    assert sum(of_target(result).rounds[0].alpha.values()) == pytest.approx(1)
    plain, _ = run(tmp_path / "b", gamma=0.0, alpha="uniform", rounds=1, baselines=False)
    assert set(of_target(plain).rounds[0].alpha.values()) == {0.5}


def test_alpha_lies_on_the_simplex_and_prefers_the_source_that_fits(done):
    for entry in of_target(done[0]).rounds:
        assert sum(entry.alpha.values()) == pytest.approx(1, abs=1e-5)
        assert min(entry.alpha.values()) >= 0
    assert of_target(done[0]).rounds[-1].alpha["upright"] > of_target(done[0]).rounds[-1].alpha["left"]


def test_each_round_has_the_risks_of_its_peers_and_the_bound(done):
    for entry in of_target(done[0]).rounds:
        for peer in entry.peers.values():
            assert peer["risk"] == pytest.approx(1 - peer["score"] / 100)
        assert entry.peers["upright"]["risk"] < entry.peers["left"]["risk"]
        assert entry.bound == pytest.approx(sum(entry.alpha[name] ** 2 * p["risk"] for name, p in entry.peers.items()))
    assert of_target(done[0]).rounds[-1].bound < of_target(done[0]).rounds[0].bound  # alpha descends it


@pytest.mark.parametrize("gamma", [0.3, 0.0])
def test_alpha_by_the_bound_is_the_optimum_for_the_mean_risks_so_far(tmp_path, gamma):
    result, _ = run(tmp_path, **SHORT | {"rounds": 3, "gamma": gamma, "alpha": "bound", "seed": 5})
    seen = {name: [1 - entry.peers[name]["score"] / 100 for entry in of_target(result).rounds] for name in TOPOLOGY.sources}
    assert len(set(seen["upright"])) > 1  # else a mean over rounds would equal one round
    for entry in of_target(result).rounds:
        mean = {name: sum(risks[: entry.round]) / entry.round for name, risks in seen.items()}
        assert {name: peer["risk"] for name, peer in entry.peers.items()} == pytest.approx(mean, rel=1e-5)
        assert entry.alpha == pytest.approx(theorem_alpha(mean), rel=1e-4)


def test_a_resumed_run_remembers_the_risks(tmp_path):
    saved = {}

    def stop(number, so_far):
        saved["result"] = so_far
        if number == 2:
            raise KeyboardInterrupt

    settings = SHORT | {"rounds": 3, "alpha": "bound"}
    uninterrupted, _ = run(tmp_path / "uninterrupted", **settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", **settings, on_round=stop)
    resumed, _ = run(tmp_path / "killed", **settings, result=saved["result"])
    assert_same(resumed, uninterrupted)


@pytest.mark.parametrize(("epochs", "committee", "said"), [(1, True, True), (2, True, False), (1, False, False)])
def test_a_committee_that_cannot_label_is_announced(tmp_path, caplog, epochs, committee, said):
    settings = {"local_epochs": epochs, "committee": committee}
    result, _ = run(tmp_path, rounds=1, home_epochs=1, baselines=False, **settings)
    assert ("the committee labels from the second epoch on" in caplog.text) == said
    assert bool(of_target(result).rounds[0].committee) == (committee and not said)


def test_weights_travel_as_differences_both_ways(done):
    _, wire = done
    kinds = {(row.direction, row.kind) for row in wire.ledger.rows}
    assert {("up", "keyframe"), ("up", "delta"), ("down", "keyframe"), ("down", "delta")} <= kinds
    assert "raw" not in {kind for _, kind in kinds}
    assert not [row for row in wire.ledger.rows if row.error]
    sums = totals(wire.ledger.rows)
    assert sums.wire < sums.raw / 2


def test_payloads_are_relayed_byte_for_byte(done):
    rows = done[1].ledger.rows
    up = {row.digest for row in rows if row.direction == "up" and row.stream in TOPOLOGY.sources}
    down = {row.digest for row in rows if row.direction == "down" and row.stream}
    assert down
    assert down <= up


def test_the_same_seed_gives_the_same_run(done, tmp_path):
    second, wire = run(tmp_path)
    assert [e.metrics for e in of_target(second).rounds] == [e.metrics for e in of_target(done[0]).rounds]
    assert [e.alpha for e in of_target(second).rounds] == [e.alpha for e in of_target(done[0]).rounds]
    assert totals(wire.ledger.rows) == totals(done[1].ledger.rows)


def test_another_seed_gives_another_run(done, tmp_path):
    result, _ = run(tmp_path, seed=1, rounds=1, baselines=False)
    other, first = of_target(result).rounds[0], of_target(done[0]).rounds[0]
    assert (other.metrics, other.alpha) != (first.metrics, first.alpha)


@pytest.mark.parametrize("nodes", [1, 3])
def test_any_number_of_nodes_learns_the_same_without_a_codec(tmp_path, nodes):
    settings = {"rounds": 2, "baselines": False}
    one, _ = run(tmp_path / "a", **settings, nodes=2, config=None)
    other, wire = run(tmp_path / "b", **settings, nodes=nodes, config=None)
    assert of_target(one).rounds == of_target(other).rounds
    assert totals(wire.ledger.rows).factor == 1


def test_at_most_one_message_to_a_node_is_in_flight(tmp_path):
    class Watched(LocalGrid):
        def push_messages(self, messages):
            names = super().push_messages(messages)
            nodes = [m.metadata.dst_node_id for m in self.sent if m.metadata.message_id in self.replies]
            assert len(nodes) == len(set(nodes))
            return names

    run(tmp_path, rounds=1, grid=Watched(client_app(tmp_path), 2))


def test_a_source_that_fails_is_reused_in_its_last_version(tmp_path):
    # Calls: 0-2 ask for domains, 3-5 describe; round 1 is 6-8 and the target 9; round 2 is 10-12. Nodes are in the order of
    # domains.
    grid = LocalGrid(client_app(tmp_path), 3, failing={11})
    result, wire = run(tmp_path, rounds=2, baselines=True, grid=grid)
    assert len(of_target(result).rounds) == 2
    assert [row for row in wire.ledger.rows if row.error]


def starts(folder, capsys, task=None, **options):
    """Run one round, and return what the target prints about its start."""
    grid = LocalGrid(client_app(folder, task), 2)
    run(folder, rounds=1, baselines=False, **options, grid=grid)
    return next(line.split("starts from ")[1] for line in capsys.readouterr().out.splitlines() if "starts from" in line)


class Wide(Digits):
    """No source has the target's kind of model."""

    def model(self, domain, classes):
        width = 64 if domain in self.targets else 48
        return nn.Sequential(nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, classes))


def test_the_target_starts_as_init_says(tmp_path, capsys):
    assert starts(tmp_path / "a", capsys) == "upright"
    assert starts(tmp_path / "b", capsys, init="average") == "the average of upright, left"
    assert starts(tmp_path / "c", capsys, init="given") == "the weights given"
    assert starts(tmp_path / "d", capsys, init="scratch") == "new weights, or those of its file"


@pytest.mark.parametrize("init", ["best-peer", "average"])
def test_the_target_prints_that_no_source_has_its_kind_of_model(tmp_path, capsys, init):
    assert starts(tmp_path, capsys, Wide(), init=init).endswith("no source has its kind of model")


SHORT = {"rounds": 4, "local_epochs": 2, "baselines": False}
# A short run on three nodes has six calls before round 1. Then each round has those of upright, left and the target.
LEFT_IN_ROUND = {1: 7, 2: 10, 3: 13}


def grid_without_left(folder, *rounds):
    return LocalGrid(client_app(folder), 3, failing={LEFT_IN_ROUND[number] for number in rounds})


def published(wire, stream):
    return [row.round for row in wire.ledger.rows if row.direction == "up" and row.stream == stream and not row.error]


@pytest.mark.parametrize("missed", [(2,), (2, 3)])
def test_a_source_that_missed_rounds_goes_on_later(tmp_path, missed, capsys):
    result, wire = run(tmp_path, **SHORT, grid=grid_without_left(tmp_path, *missed))
    assert published(wire, "upright") == [1, 2, 3, 4]
    assert published(wire, "left") == [number for number in (1, 2, 3, 4) if number not in missed]
    assert len(of_target(result).rounds) == 4
    assert f"missed round {missed[-1]}, goes on from round 1" in capsys.readouterr().out


def test_a_source_may_join_later(tmp_path, capsys):
    result, wire = run(tmp_path, **SHORT, grid=grid_without_left(tmp_path, 1))
    assert published(wire, "left") == [2, 3, 4]
    assert [set(entry.alpha) for entry in of_target(result).rounds] == [{"upright"}, *3 * [{"upright", "left"}]]
    assert [sum(entry.alpha.values()) for entry in of_target(result).rounds] == pytest.approx([1.0] * 4, abs=1e-5)
    assert of_target(result).rounds[-1].alpha["upright"] > of_target(result).rounds[-1].alpha["left"] > 0
    printed = capsys.readouterr().out
    assert "source: missed round 1, begins now" in printed
    assert printed.count("from now on reuses left too") == 1
    # Before its first version it trained the epochs at home.
    assert printed.count("left/source              epoch   1/10") == 1


def assert_same(one, other):
    assert of_target(one).rounds == of_target(other).rounds
    assert same_models(one, other)


@pytest.mark.parametrize("missed", [1, 2])
@pytest.mark.parametrize("killed", ["after", "in the next round"])
def test_a_killed_run_with_a_missed_round_gives_the_same_result(tmp_path, missed, killed):
    """Without a codec, since a version that is published twice is a difference to itself the second time."""
    saved = {}

    def stop(number, so_far):
        if number == 2:
            saved["result"] = RunResult({TARGET: TargetResult(list(of_target(so_far).rounds))}, dict(so_far.models))
        if number == (2 if killed == "after" else 3):
            raise KeyboardInterrupt

    uninterrupted, _ = run(
        tmp_path / "uninterrupted", **SHORT, grid=grid_without_left(tmp_path / "uninterrupted", missed), config=None
    )
    folder = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        run(folder, **SHORT, grid=grid_without_left(folder, missed), on_round=stop, config=None)
    resumed, _ = run(folder, **SHORT, nodes=3, result=saved["result"], config=None)
    assert_same(resumed, uninterrupted)


@pytest.mark.parametrize("missed", [1, 2])
def test_a_killed_run_with_a_missed_round_goes_on_with_the_codec(tmp_path, missed):
    saved = {}

    def stop(number, so_far):
        saved["result"] = so_far
        if number == 2:
            raise KeyboardInterrupt

    uninterrupted, _ = run(tmp_path / "uninterrupted", **SHORT, grid=grid_without_left(tmp_path / "uninterrupted", missed))
    folder = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        run(folder, **SHORT, grid=grid_without_left(folder, missed), on_round=stop)
    resumed, after = run(folder, **SHORT, nodes=3, result=saved["result"])
    assert_same(resumed, uninterrupted)
    assert published(after, "left") == [3, 4]


def test_a_target_without_its_checkpoints_trains_all_epochs_again(tmp_path, capsys):
    def delete_checkpoints(number, so_far):
        if number == 2:
            shutil.rmtree(tmp_path / "nodes" / "run" / "faint")

    result, _ = run(tmp_path, **SHORT | {"baselines": True, "rounds": 3}, on_round=delete_checkpoints)
    printed = capsys.readouterr().out
    assert "reuse: missed round 2, begins now" in printed
    assert (
        printed.count("faint/reuse              epoch   1/6") == printed.count("faint/alone              epoch   1/6") == 2
    )
    assert of_target(result).rounds[-1].metrics["accuracy"] > of_target(result).baselines["alone"]["accuracy"]


def test_a_target_that_fails_ends_the_run_with_the_reason(tmp_path):
    with pytest.raises(FedRetinaError, match="node is gone"):
        run(tmp_path, grid=LocalGrid(client_app(tmp_path), 3, failing={9}))


def test_a_run_goes_on_where_it_was_interrupted(done, tmp_path):
    saved = {}

    def stop(number, result):
        saved["result"] = result
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, on_round=stop)
    result, wire = run(tmp_path, result=saved["result"])
    assert [e.metrics for e in of_target(result).rounds] == [e.metrics for e in of_target(done[0]).rounds]
    assert "keyframe" not in {row.kind for row in wire.ledger.rows if row.direction == "up"}


def test_missing_data_end_the_run_before_anything_is_trained(tmp_path):
    class Missing(Digits):
        def splits(self, domain):
            if domain == "left":
                raise BadArgument("no folder /left")
            return super().splits(domain)

    with pytest.raises(FedRetinaError, match="left: no folder /left"):
        run(tmp_path, grid=LocalGrid(client_app(tmp_path, Missing()), 2))


def test_a_node_of_another_release_ends_the_run_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(Job, "record", lambda job: ConfigRecord({"json": json.dumps({"version": 99})}))
    with pytest.raises(FedRetinaError, match="job has version 99: this node reads version 2; install the same release"):
        run(tmp_path)


def test_domains_are_assigned_to_the_nodes_that_host_them(tmp_path):
    grid = LocalGrid(client_app(tmp_path), 2)
    first, second = grid.contexts.values()
    first.node_config["domains"], second.node_config["domains"] = "left,upright", "faint"
    _, wire = run(tmp_path, rounds=1, baselines=False, grid=grid)
    assert {node: wire.nodes.label(node) for node in (100, 101)} == {100: "upright,left", 101: "faint"}


def test_a_showcase_reaches_the_result(tmp_path):
    class Showing(Digits):
        def showcase(self, model, domain):
            return [{"shown": domain}]

    grid = LocalGrid(client_app(tmp_path, Showing()), 2)
    result, _ = run(tmp_path, rounds=1, baselines=False, grid=grid)
    assert json.loads(json.dumps(of_target(result).showcase)) == [{"shown": "faint"}]
