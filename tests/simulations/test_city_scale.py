"""The city in one process: killed and resumed, with other numbers of nodes, under a budget."""

import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
from city_scale_run import CITY
from flwr.app import ConfigRecord
from flwr.clientapp import ClientApp

from city_task import CityTask, domain_names
from fedretina.dom import DomConfig, ReferenceStore, publish
from fedretina.errors import BadArgument, FedRetinaError, UnknownBase
from fedretina.flower import RelayedModels, message_size, records
from fedretina.strategies.mutual_reuse import MUTUAL_LIMITS, LinkModel, MutualReuse, MutualReuseClient, Selection, Turn
from fedretina.strategies.mutual_reuse.turns import TurnOrder
from fedretina.strategies.peer_reuse import Job, ReuseConfig, hosted_domains
from fedretina.testing import LocalGrid
from fedretina.train import Training

TASK = CityTask(domains=6, districts=2, samples=60)
TRAINING = Training(
    rounds=3, local_epochs=1, home_epochs=3, batch_size=32, lr=0.005, device="cpu", precision="float32"
)  # fmt: skip


class Killed(Exception):
    pass


def run(
    folder, *, nodes=3, killed_after=None, policy="nearest", budget=30_000, failing=(), change=None, rounds=3, seed=0,
    limits=MUTUAL_LIMITS,
):  # fmt: skip
    """Run the city; `change` gets domain, turn and reply, and may change the reply."""
    app = ClientApp()
    models = RelayedModels(ReferenceStore(folder / "references"), DomConfig(keyframe_error=0.02))
    app.query("domains")(hosted_domains)
    client = MutualReuseClient(TASK, folder, models, limits=limits)

    @app.train()
    def train(message, context):
        reply, job = client(message, context), Job.of(message)
        if change is not None:
            change(*job.work, job.round, reply.content)
        return reply

    turns = []

    def on_turn(turn):
        turns.append(turn)
        if len(turns) == killed_after:
            raise Killed

    strategy = MutualReuse(
        domain_names(TASK.domains), replace(TRAINING, rounds=rounds, seed=seed), ReuseConfig(committee=False), run="city",
        journal=folder / "replies", metric=TASK.metric,
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
    assert set(errors) == {"the node lacks a base", "sent again"}


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
    receive = RelayedModels.receive_sound

    def refuse(self, content):
        job = Job.read(content.config_records["job"])
        if job.round == 2 and "d001" in job.work:
            raise UnknownBase("no base")
        return receive(self, content)

    monkeypatch.setattr(RelayedModels, "receive_sound", refuse)
    turns, _, grid = run(tmp_path)
    assert {(turn.domain, turn.number) for turn in turns if turn.error} == {("d001", 2)}
    assert len(turns) == 18
    assert len([m for m in grid.sent if m.metadata.message_type == "train"]) == 19


@pytest.mark.parametrize("limits", [None, MUTUAL_LIMITS])
def test_a_peer_whose_model_fits_nobody_is_refused_and_ends_no_turn_of_others(tmp_path, limits):
    def misfit(domain, turn, reply):
        if domain == "d001" and turn == 1:
            other = publish({"x": np.ones((40, 40), np.float32)}, base=None)
            reply["d001"] = records.pack([other.payload])

    turns, _, _ = run(tmp_path, change=misfit, limits=limits, policy="all", budget=None)
    others = [turn for turn in turns if turn.domain != "d001"]
    assert not any(turn.error for turn in others)
    refused = [turn for turn in others if turn.refused]
    assert {peer for turn in refused for peer in turn.refused} == {"d001"}
    assert all(set(turn.alpha) == set(turn.versions) - {"d001"} for turn in refused)
    assert len(refused) == len({turn.domain for turn in refused})  # nobody asks for the same version again


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda reply: reply.pop("size"), "does not say how large its model is"),
        (lambda reply: reply["size"].update({"raw": float("nan")}), r"numbers that are not finite \(raw\)"),
        (lambda reply: reply.update({"more": reply["d001"]}), r"the models \['d001', 'more'\]"),
        (lambda reply: reply.pop("d001/home", None), "does not have accuracy of one training"),
    ],
)
def test_a_malformed_reply_is_a_failed_turn_and_stays_one_when_the_run_is_resumed(tmp_path, spoil, reason):
    def change(domain, turn, reply):
        if domain == "d001" and turn == 1:
            spoil(reply)

    turns, _, _ = run(tmp_path, change=change)
    (failed,) = [turn for turn in turns if turn.error]
    assert (failed.domain, failed.number) == ("d001", 1)
    assert re.search(reason, failed.error)
    again, strategy, grid = run(tmp_path)
    assert as_json(again) == as_json(turns)
    assert not [message for message in grid.sent if message.metadata.message_type == "train"]
    assert any(re.search(reason, row.error) for row in strategy.ledger.rows)


def test_a_domain_starts_from_a_peer_in_the_first_turn_that_has_one(tmp_path):
    turns, strategy, _ = run(tmp_path, seed=2, rounds=3)
    for domain in domain_names(6):
        with_peers = [turn for turn in turns if turn.domain == domain and turn.versions]
        assert strategy._members[int(domain[1:])].turns_with_peers == len(with_peers)
    orders = [
        (message.content["job"], TurnOrder.of(message.content))
        for message in run(tmp_path / "new", seed=2)[2].sent
        if message.metadata.message_type == "train"
    ]
    assert {order.turns_with_peers for _, order in orders} == {0, 1}
    assert {Job.read(job).round for job, order in orders if order.sketch} == {1}


def test_a_run_whose_only_turns_failed_is_no_success(tmp_path):
    def fail(domain, turn, reply):
        reply["error"] = ConfigRecord({"text": "no memory"})

    with pytest.raises(FedRetinaError, match=r"all turns failed, the last one of d00\d: no memory"):
        run(tmp_path, change=fail, rounds=1)


def test_a_message_that_is_sent_again_is_in_the_ledger_also_of_a_resumed_run(tmp_path):
    _, strategy, grid = run(tmp_path, failing={4, 9})
    rows = strategy.ledger.rows
    sent = sum(message_size(m.content, "down") for m in grid.sent if m.metadata.message_type == "train")
    assert sum(row.wire_bytes for row in rows if row.direction == "down") == sent
    assert len([row for row in rows if row.error == "sent again"]) >= 2
    _, again, _ = run(tmp_path)
    plain = [replace(row, node=0, encode_s=0.0) for row in rows]
    assert [replace(row, node=0, encode_s=0.0) for row in again.ledger.rows] == plain
