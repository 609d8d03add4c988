"""The city in one process: killed and resumed, with other numbers of nodes, under a budget."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from city_scale_run import CITY
from flwr.clientapp import ClientApp

from city_task import CityTask, domain_names
from fedretina.dom import DomConfig, ReferenceStore
from fedretina.errors import BadArgument, UnknownBase
from fedretina.flower import RelayedModels
from fedretina.strategies.mutual_reuse import LinkModel, MutualReuse, MutualReuseClient, Selection, Turn
from fedretina.strategies.peer_reuse import Job, ReuseConfig, hosted_domains
from fedretina.testing import LocalGrid
from fedretina.train import Training

TASK = CityTask(domains=6, districts=2, samples=60)
TRAINING = Training(
    rounds=3, local_epochs=1, home_epochs=3, batch_size=32, lr=0.005, device="cpu", precision="float32"
)  # fmt: skip


class Killed(Exception):
    pass


def run(folder, *, nodes=3, killed_after=None, policy="nearest", budget=30_000, failing=()):
    app = ClientApp()
    models = RelayedModels(ReferenceStore(folder / "references"), DomConfig(keyframe_error=0.02))
    app.query("domains")(hosted_domains)
    app.train()(MutualReuseClient(TASK, folder, models))
    turns = []

    def on_turn(turn):
        turns.append(turn)
        if len(turns) == killed_after:
            raise Killed

    strategy = MutualReuse(
        domain_names(TASK.domains), TRAINING, ReuseConfig(committee=False), run="city", journal=folder / "replies",
        selection=Selection(policy=policy, budget=budget), links=LinkModel(offline=0.3), on_turn=on_turn,
    )  # fmt: skip
    grid = LocalGrid(app, nodes, failing=failing)
    strategy.start(grid)
    return turns, strategy, grid


def as_json(turns):
    return json.dumps([asdict(turn) for turn in turns])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"))


def test_every_domain_takes_all_its_turns_in_the_order_of_simulated_time(whole):
    turns, strategy, grid = whole
    assert sorted((turn.domain, turn.number) for turn in turns) == [
        (name, number) for name in domain_names(6) for number in (1, 2, 3)
    ]
    assert [turn.end for turn in turns] == sorted(turn.end for turn in turns)
    assert not any(turn.error for turn in turns)
    assert len([m for m in grid.sent if m.metadata.message_type == "train"]) == len(turns)  # one a domain and turn
    assert set(strategy.choice.sketches) == set(domain_names(6))


def test_nobody_waits_for_the_slowest(whole):
    turns = whole[0]
    ends = {(turn.domain, turn.number): turn.end for turn in turns}
    slowest_home = max(ends[name, 1] for name in domain_names(6))
    assert min(ends[name, 2] for name in domain_names(6)) < slowest_home
    assert any(len(set(turn.versions.values())) > 1 for turn in turns)  # peers of different rounds in one turn


def test_a_turn_keeps_the_budget_and_weighs_its_peers(whole):
    for turn in whole[0]:
        assert turn.down < 30_000 + 5_000  # payloads, and the head of the message
        assert (turn.number == 1) <= (not turn.versions)
        assert set(turn.alpha) == set(turn.risks) == set(turn.scores) == set(turn.versions)
        assert turn.domain not in turn.versions


@pytest.mark.parametrize("killed_after", [1, 8, 17])
def test_a_run_killed_in_the_middle_of_a_round_is_resumed_with_the_same_numbers(tmp_path, whole, killed_after):
    with pytest.raises(Killed):
        run(tmp_path, killed_after=killed_after)
    turns, _, grid = run(tmp_path)
    assert as_json(turns) == as_json(whole[0])
    assert len([m for m in grid.sent if m.metadata.message_type == "train"]) <= 18 - killed_after


def test_numbers_do_not_depend_on_the_number_of_nodes(tmp_path, whole):
    assert as_json(run(tmp_path, nodes=1)[0]) == as_json(whole[0])


def test_a_node_that_fails_once_gets_its_message_again(tmp_path, whole):
    turns, _, _ = run(tmp_path, failing={4, 9})
    assert as_json(turns) == as_json(whole[0])


def test_a_node_that_lost_its_models_gets_keyframes(tmp_path, whole):
    with pytest.raises(Killed):
        run(tmp_path, killed_after=12)
    for file in (tmp_path / "references").iterdir():
        file.unlink()
    turns, strategy, _ = run(tmp_path)
    assert any(turn.resent for turn in turns)
    assert as_json(replace(turn, resent=0) for turn in turns) == as_json(whole[0])
    for name in domain_names(6):
        assert strategy.relay.newest(name) == whole[1].relay.newest(name)


def test_oracle_needs_true_gains(tmp_path):
    with pytest.raises(BadArgument, match="true_gains"):
        run(tmp_path, policy="oracle")


def test_the_city_is_made_from_its_seed_and_bad_domains_have_random_labels():
    bad = CityTask(domains=6, districts=2, samples=60, bad=0.5)
    names = domain_names(6)
    assert sum(bad.is_bad(name) for name in names) == 3
    for name in names:
        one, two = TASK.splits(name), bad.splits(name)
        assert (one.inputs == two.inputs).all()
        assert (one.labels == two.labels).all() == (not bad.is_bad(name))
        assert set(one.labels.tolist()) == set(range(10))


def test_sizes_and_shares_of_labels_are_log_normal():
    city = CityTask(domains=400, districts=4, samples=1000)
    splits = [city.make_splits(name) for name in domain_names(400)]
    sizes = np.log([len(each.everything()) for each in splits])
    shares = np.log([len(each.labels) / len(each.everything()) for each in splits])
    assert np.exp(np.median(sizes)) == pytest.approx(1000, rel=0.15)
    assert sizes.std() == pytest.approx(0.7, abs=0.1)
    assert np.exp(np.median(shares)) == pytest.approx(0.2, rel=0.15)
    assert shares.std() == pytest.approx(0.5, abs=0.1)


def test_a_line_a_round_has_the_mean_the_bytes_and_the_time_that_is_left():
    lines = []
    progress = CITY.Progress("accuracy", domains=2, rounds=4, say=lines.append)
    progress.began -= 10.0
    for number, (domain, accuracy) in enumerate([("d0", 40.0), ("d1", 60.0), ("d0", 80.0)], 1):
        turn = Turn(domain=domain, number=1, start=0.0, end=3600.0 * number, down=500_000, metrics={"accuracy": accuracy})
        progress.add(turn)
    (line,) = lines
    assert line == "round 1/4: accuracy 50.00, 1.00 MB, simulated 2.00 h; 10 s, about 30 s left"


def test_every_message_is_in_the_ledger(whole):
    turns, strategy, _ = whole
    rows = strategy.ledger.rows
    for turn in turns:
        for direction, size in (("down", turn.down), ("up", turn.up)):
            of_turn = [
                row for row in rows if (row.domain, row.round, row.direction) == (turn.domain, turn.number, direction)
            ]
            assert sum(row.wire_bytes for row in of_turn) == size
            versions = {row.stream: row.version for row in of_turn if row.stream}
            assert versions == (turn.versions if direction == "down" else {turn.domain: turn.number})
    assert {row.kind for row in rows if row.direction == "up"} == {"keyframe", "delta"}
    assert all(row.encode_s > 0 for row in rows if row.direction == "up")
    assert not any(row.error for row in rows)


def test_a_lost_base_is_a_row_with_an_error(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, killed_after=12)
    for file in (tmp_path / "references").iterdir():
        file.unlink()
    _, strategy, _ = run(tmp_path)
    errors = [row.error for row in strategy.ledger.rows if row.error]
    assert errors
    assert set(errors) == {"the node lacks a base"}


def test_a_domain_of_few_samples_makes_no_sketch_and_takes_part(tmp_path, monkeypatch):
    splits = CityTask.splits
    few = domain_names(6)[2]

    def fewer(self, domain):
        found = splits(self, domain)
        return replace(found, unlabelled=found.unlabelled[:20], groups=found.groups[:30]) if domain == few else found

    monkeypatch.setattr(CityTask, "splits", fewer)
    turns, strategy, _ = run(tmp_path)
    assert few not in strategy.choice.sketches
    assert not any(turn.error for turn in turns)
    assert any(few in turn.versions for turn in turns)


def test_a_node_that_never_has_a_base_fails_its_turns_and_holds_nobody(tmp_path, monkeypatch):
    receive = RelayedModels.receive

    def refuse(self, content):
        job = Job.read(content.config_records["job"])
        if job.round == 2 and "d001" in job.work:
            raise UnknownBase("no base")
        return receive(self, content)

    monkeypatch.setattr(RelayedModels, "receive", refuse)
    turns, _, grid = run(tmp_path)
    assert {(turn.domain, turn.number) for turn in turns if turn.error} == {("d001", 2)}
    assert len(turns) == 18
    assert len([m for m in grid.sent if m.metadata.message_type == "train"]) == 19
