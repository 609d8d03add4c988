"""PeerReuse end to end on digits, in one process: what it learns, what it sends, how it fails and goes on."""

import json
import shutil
from dataclasses import replace

import pytest
from flwr.clientapp import ClientApp
from torch import nn

from digits import Digits
from fedretina.dom import DomConfig
from fedretina.errors import BadArgument, FedRetinaError
from fedretina.flower import DomGrid, DomMod
from fedretina.ledger import totals
from fedretina.reuse import theorem_alpha
from fedretina.strategies import PeerReuse, PeerReuseClient, Plan, homes
from fedretina.strategies.peer_reuse import RunResult
from grids import LocalGrid

PLAN = Plan(
    target="faint",
    sources=("upright", "left"),
    rounds=3,
    local_epochs=4,
    home_epochs=8,
    batch_size=32,
    lr=0.01,
    device="cpu",
)


def client_app(folder, task=None, **mods):
    app = ClientApp(mods=[DomMod(folder / "references")])
    answer = PeerReuseClient(task or Digits(), folder / "nodes")
    app.query("homes")(homes)
    app.query("describe")(answer)
    app.train()(answer)
    return app


def run(folder, *, plan=PLAN, nodes=2, config=DomConfig(), grid=None, result=None, name="run", **options):
    inner = grid or LocalGrid(client_app(folder), nodes)
    wire = DomGrid(inner, config, uplink="stream", store=folder / "references", streams=folder / "streams")
    return PeerReuse(plan, run=name, **options).start(wire, result=result), wire


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run(tmp_path_factory.mktemp("done"))


def test_reuse_beats_the_target_alone(done):
    result, _ = done
    reuse = result.rounds[-1].metrics["accuracy"]
    assert reuse > result.yardsticks["alone"]["accuracy"] + 2
    assert set(result.yardsticks) == {"alone", "full", "finetune"}
    assert result.finetuned in PLAN.sources


def test_a_committee_labels_and_its_accuracy_is_told(done):
    last = done[0].rounds[-1]
    assert set(last.metrics) == {"accuracy"}
    assert last.committee["share"] > 50
    assert last.committee["accuracy"] > 80
    assert last.committee["new"] == 0  # a classification knows its classes


def test_without_a_committee_it_is_eq_1_alone(done, tmp_path):
    result, _ = run(tmp_path, plan=replace(PLAN, committee=False, baselines=False))
    assert not result.rounds[-1].committee
    assert result.rounds[-1].metrics["accuracy"] > done[0].yardsticks["alone"]["accuracy"]
    assert result.rounds[-1].alpha["upright"] > result.rounds[-1].alpha["left"]


def test_without_eq_1_alpha_is_theorem_1s_and_weighs_the_committee(tmp_path):
    result, _ = run(tmp_path, plan=replace(PLAN, gamma=0.0, rounds=1, baselines=False))
    assert result.rounds[0].committee["share"] > 50
    assert result.rounds[0].alpha["upright"] > 2 * result.rounds[0].alpha["left"]
    assert sum(result.rounds[0].alpha.values()) == pytest.approx(1)
    plain, _ = run(tmp_path / "b", plan=replace(PLAN, gamma=0.0, alpha="uniform", rounds=1, baselines=False))
    assert set(plain.rounds[0].alpha.values()) == {0.5}


def test_alpha_lies_on_the_simplex_and_prefers_the_source_that_fits(done):
    for entry in done[0].rounds:
        assert sum(entry.alpha.values()) == pytest.approx(1, abs=1e-5)
        assert min(entry.alpha.values()) >= 0
    assert done[0].rounds[-1].alpha["upright"] > done[0].rounds[-1].alpha["left"]


def test_each_round_tells_what_its_peers_are_worth(done):
    for entry in done[0].rounds:
        for peer in entry.peers.values():
            assert peer["risk"] == pytest.approx(1 - peer["score"] / 100)
        assert entry.peers["upright"]["risk"] < entry.peers["left"]["risk"]
        assert entry.bound == pytest.approx(sum(entry.alpha[name] ** 2 * p["risk"] for name, p in entry.peers.items()))
    assert done[0].rounds[-1].bound < done[0].rounds[0].bound  # alpha descends it


@pytest.mark.parametrize("gamma", [0.3, 0.0])
def test_alpha_by_the_bound_is_theorem_1s_of_the_risks_so_far(tmp_path, gamma):
    result, _ = run(tmp_path, plan=replace(SHORT, rounds=3, gamma=gamma, alpha="bound", seed=5))
    seen = {name: [1 - entry.peers[name]["score"] / 100 for entry in result.rounds] for name in PLAN.sources}
    assert len(set(seen["upright"])) > 1  # else the rounds before would not show
    for entry in result.rounds:
        mean = {name: sum(risks[: entry.round]) / entry.round for name, risks in seen.items()}
        assert {name: peer["risk"] for name, peer in entry.peers.items()} == pytest.approx(mean, rel=1e-5)
        assert entry.alpha == pytest.approx(theorem_alpha(mean), rel=1e-4)


def test_a_resumed_run_remembers_the_risks(tmp_path):
    kept = {}

    def stop(entry, so_far):
        kept["result"] = so_far
        if entry.round == 2:
            raise KeyboardInterrupt

    plan = replace(SHORT, rounds=3, alpha="bound")
    whole, _ = run(tmp_path / "whole", plan=plan)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "torn", plan=plan, on_round=stop)
    again, _ = run(tmp_path / "torn", plan=plan, result=kept["result"])
    assert_same(again, whole)


@pytest.mark.parametrize(("epochs", "committee", "said"), [(1, True, True), (2, True, False), (1, False, False)])
def test_a_committee_that_could_not_label_is_told_of(tmp_path, caplog, epochs, committee, said):
    plan = replace(PLAN, rounds=1, local_epochs=epochs, home_epochs=1, baselines=False, committee=committee)
    result, _ = run(tmp_path, plan=plan)
    assert ("the committee labels from the second epoch on" in caplog.text) == said
    assert bool(result.rounds[0].committee) == (committee and not said)


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
    up = {row.digest for row in rows if row.direction == "up" and row.stream in PLAN.sources}
    down = {row.digest for row in rows if row.direction == "down" and row.stream}
    assert down
    assert down <= up


def test_the_same_seed_gives_the_same_run(done, tmp_path):
    again, wire = run(tmp_path)
    assert [e.metrics for e in again.rounds] == [e.metrics for e in done[0].rounds]
    assert [e.alpha for e in again.rounds] == [e.alpha for e in done[0].rounds]
    assert totals(wire.ledger.rows) == totals(done[1].ledger.rows)


def test_another_seed_gives_another_run(done, tmp_path):
    other, _ = run(tmp_path, plan=replace(PLAN, seed=1, rounds=1, baselines=False))
    assert other.rounds[0].metrics != done[0].rounds[0].metrics or other.rounds[0].alpha != done[0].rounds[0].alpha


@pytest.mark.parametrize("nodes", [1, 3])
def test_any_number_of_nodes_learns_the_same_without_a_codec(tmp_path, nodes):
    plan = replace(PLAN, rounds=2, baselines=False)
    one, _ = run(tmp_path / "a", plan=plan, nodes=2, config=None)
    other, wire = run(tmp_path / "b", plan=plan, nodes=nodes, config=None)
    assert one.rounds == other.rounds
    assert totals(wire.ledger.rows).factor == 1


def test_never_two_messages_on_the_way_to_one_node(tmp_path):
    class Watched(LocalGrid):
        def push_messages(self, messages):
            names = super().push_messages(messages)
            nodes = [m.metadata.dst_node_id for m in self.sent if m.metadata.message_id in self.replies]
            assert len(nodes) == len(set(nodes))
            return names

    run(tmp_path, plan=replace(PLAN, rounds=1), grid=Watched(client_app(tmp_path), 2))


def test_a_source_that_fails_is_reused_in_its_last_version(tmp_path):
    # Calls: 0-2 homes, 3-5 describe; round 1: 6-8, target 9; round 2: 10-12. The order of nodes is that of the domains.
    grid = LocalGrid(client_app(tmp_path), 3, failing={11})
    result, wire = run(tmp_path, plan=replace(PLAN, rounds=2, baselines=True), grid=grid)
    assert len(result.rounds) == 2
    assert [row for row in wire.ledger.rows if row.error]


def starts(folder, capsys, task=None, **options):
    """Run one round; give what the target says of its start."""
    grid = LocalGrid(client_app(folder, task), 2)
    run(folder, plan=replace(PLAN, rounds=1, baselines=False, **options), grid=grid)
    return next(line.split("starts from ")[1] for line in capsys.readouterr().out.splitlines() if "starts from" in line)


class Wide(Digits):
    """No source has the target's kind of model."""

    def model(self, domain, classes):
        width = 64 if domain == self.target else 48
        return nn.Sequential(nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, classes))


def test_the_target_starts_as_it_was_asked_to(tmp_path, capsys):
    assert starts(tmp_path / "a", capsys) == "upright"
    assert starts(tmp_path / "b", capsys, init="average") == "the average of upright, left"
    assert starts(tmp_path / "c", capsys, init="given") == "the weights given"
    assert starts(tmp_path / "d", capsys, init="scratch") == "new weights, or those of its file"


@pytest.mark.parametrize("init", ["best-peer", "average"])
def test_where_no_source_is_of_the_targets_kind_it_says_so(tmp_path, capsys, init):
    assert starts(tmp_path, capsys, Wide(), init=init).endswith("no source has its kind of model")


SHORT = replace(PLAN, rounds=4, local_epochs=2, baselines=False)
# Calls of a short run on three nodes: six before round 1; then a round has upright's, left's and the target's.
LEFT_IN_ROUND = {1: 7, 2: 10, 3: 13}


def flaky(folder, *rounds):
    return LocalGrid(client_app(folder), 3, failing={LEFT_IN_ROUND[number] for number in rounds})


def published(wire, stream):
    return [row.round for row in wire.ledger.rows if row.direction == "up" and row.stream == stream and not row.error]


@pytest.mark.parametrize("missed", [(2,), (2, 3)])
def test_a_source_that_was_gone_goes_on_when_it_is_back(tmp_path, missed, capsys):
    result, wire = run(tmp_path, plan=SHORT, grid=flaky(tmp_path, *missed))
    assert published(wire, "upright") == [1, 2, 3, 4]
    assert published(wire, "left") == [number for number in (1, 2, 3, 4) if number not in missed]
    assert len(result.rounds) == 4
    assert f"missed round {missed[-1]}, goes on from round 1" in capsys.readouterr().out


def test_a_source_may_join_later(tmp_path, capsys):
    result, wire = run(tmp_path, plan=SHORT, grid=flaky(tmp_path, 1))
    assert published(wire, "left") == [2, 3, 4]
    assert [set(entry.alpha) for entry in result.rounds] == [{"upright"}, *3 * [{"upright", "left"}]]
    assert [sum(entry.alpha.values()) for entry in result.rounds] == pytest.approx([1.0] * 4, abs=1e-5)
    assert result.rounds[-1].alpha["upright"] > result.rounds[-1].alpha["left"] > 0
    said = capsys.readouterr().out
    assert "source: missed round 1, begins now" in said
    assert said.count("from now on reuses left too") == 1
    # Its first version had the epochs at home.
    assert said.count("left/source              epoch   1/10") == 1


def assert_same(one, other):
    assert one.rounds == other.rounds
    for domain, record in one.models.items():
        assert all(array.data == other.models[domain][name].data for name, array in record.items())


@pytest.mark.parametrize("missed", [1, 2])
@pytest.mark.parametrize("killed", ["after", "in the next round"])
def test_a_run_with_a_gap_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path, missed, killed):
    """Without a codec: a version that is published twice is the second time a difference to the first."""
    kept = {}

    def stop(entry, so_far):
        if entry.round == 2:
            kept["result"] = RunResult(list(so_far.rounds), models=dict(so_far.models))
        if entry.round == (2 if killed == "after" else 3):
            raise KeyboardInterrupt

    whole, _ = run(tmp_path / "whole", plan=SHORT, grid=flaky(tmp_path / "whole", missed), config=None)
    torn = tmp_path / "torn"
    with pytest.raises(KeyboardInterrupt):
        run(torn, plan=SHORT, grid=flaky(torn, missed), on_round=stop, config=None)
    again, _ = run(torn, plan=SHORT, nodes=3, result=kept["result"], config=None)
    assert_same(again, whole)


@pytest.mark.parametrize("missed", [1, 2])
def test_a_run_with_a_gap_goes_on_over_the_codec(tmp_path, missed):
    kept = {}

    def stop(entry, so_far):
        kept["result"] = so_far
        if entry.round == 2:
            raise KeyboardInterrupt

    whole, _ = run(tmp_path / "whole", plan=SHORT, grid=flaky(tmp_path / "whole", missed))
    torn = tmp_path / "torn"
    with pytest.raises(KeyboardInterrupt):
        run(torn, plan=SHORT, grid=flaky(torn, missed), on_round=stop)
    again, after = run(torn, plan=SHORT, nodes=3, result=kept["result"])
    assert_same(again, whole)
    assert published(after, "left") == [3, 4]


def test_a_target_without_its_states_makes_up_for_what_it_lost(tmp_path, capsys):
    def lose(entry, so_far):
        if entry.round == 2:
            shutil.rmtree(tmp_path / "nodes" / "run" / "faint")

    result, _ = run(tmp_path, plan=replace(SHORT, baselines=True, rounds=3), on_round=lose)
    said = capsys.readouterr().out
    assert "reuse: missed round 2, begins now" in said
    assert said.count("faint/reuse              epoch   1/6") == said.count("faint/alone              epoch   1/6") == 2
    assert result.rounds[-1].metrics["accuracy"] > result.yardsticks["alone"]["accuracy"]


def test_a_target_that_fails_ends_the_run_with_the_reason(tmp_path):
    with pytest.raises(FedRetinaError, match="node is gone"):
        run(tmp_path, grid=LocalGrid(client_app(tmp_path), 3, failing={9}))


def test_a_run_goes_on_where_it_was_interrupted(done, tmp_path):
    kept = {}

    def stop(entry, result):
        kept["result"] = result
        if entry.round == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, on_round=stop)
    result, wire = run(tmp_path, result=kept["result"])
    assert [e.metrics for e in result.rounds] == [e.metrics for e in done[0].rounds]
    assert "keyframe" not in {row.kind for row in wire.ledger.rows if row.direction == "up"}


def test_missing_data_end_the_run_before_anything_is_trained(tmp_path):
    class Missing(Digits):
        def splits(self, domain):
            if domain == "left":
                raise BadArgument("no folder /left")
            return super().splits(domain)

    with pytest.raises(FedRetinaError, match="left: no folder /left"):
        run(tmp_path, grid=LocalGrid(client_app(tmp_path, Missing()), 2))


def test_domains_live_where_the_nodes_say(tmp_path):
    grid = LocalGrid(client_app(tmp_path), 2)
    first, second = grid.contexts.values()
    first.node_config["domains"], second.node_config["domains"] = "left,upright", "faint"
    _, wire = run(tmp_path, plan=replace(PLAN, rounds=1, baselines=False), grid=grid)
    assert wire.domains == {100: "upright,left", 101: "faint"}


def test_a_showcase_reaches_the_result(tmp_path):
    class Showing(Digits):
        def showcase(self, model, domain):
            return [{"shown": domain}]

    grid = LocalGrid(client_app(tmp_path, Showing()), 2)
    result, _ = run(tmp_path, plan=replace(PLAN, rounds=1, baselines=False), grid=grid)
    assert json.loads(json.dumps(result.showcase)) == [{"shown": "faint"}]
