"""Several targets in one run: each has its own results, and a domain may be a target and a source."""

import pytest
from digits_run import TOPOLOGY, client_app, run, same_models

from digits import Digits
from fedretina.errors import FedRetinaError
from fedretina.strategies import Topology
from fedretina.testing import LocalGrid

SHORT = {"rounds": 2, "local_epochs": 3, "home_epochs": 4}
TWO = Topology(targets=("faint", "left"), sources=("upright", "upside-down"))
BOTH_ROLES = Topology(targets=("faint", "left"), sources=("upright", "left"))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run(tmp_path_factory.mktemp("two"), topology=BOTH_ROLES, **SHORT)


def test_each_target_has_its_results(done):
    result, _ = done
    assert list(result.targets) == ["faint", "left"]
    assert result.last_round == 2
    for target in result.targets.values():
        assert [entry.round for entry in target.rounds] == [1, 2]
        assert set(target.baselines) == {"alone", "full", "finetune"}
        assert set(target.rounds[-1].metrics) == {"accuracy"}
        assert target.rounds[-1].committee["share"] > 0
        assert sum(target.rounds[-1].alpha.values()) == pytest.approx(1, abs=1e-5)
    assert result.targets["faint"].rounds != result.targets["left"].rounds


def test_a_target_does_not_reuse_its_own_model_from_home(done):
    targets = done[0].targets
    assert {name: set(target.rounds[-1].alpha) for name, target in targets.items()} == {
        "faint": {"upright", "left"},
        "left": {"upright"},
    }
    assert targets["faint"].finetuned in BOTH_ROLES.sources
    assert targets["left"].finetuned == "upright"


def test_a_domain_in_both_roles_has_two_models(done):
    result, wire = done
    assert set(result.models) == {"upright", "left", "faint", "left/target"}
    home, target = (result.models[stream]["0.weight"].numpy() for stream in ("left", "left/target"))
    assert (home != target).any()
    up = {(row.stream, row.round) for row in wire.ledger.rows if row.direction == "up" and row.stream}
    assert up == {(stream, number) for stream in result.models for number in (1, 2)}


def test_ledger_rows_name_the_targets_of_the_node(done):
    rows = [row for row in done[1].ledger.rows if row.direction == "down" and row.stream]
    assert {row.stream for row in rows} == {"upright", "left"}
    assert {row.domain for row in rows if row.stream == "left"} == {"faint,upright"}
    assert {row.domain for row in rows if row.stream == "upright"} == {"faint,upright", "left"}


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_targets_do_not_depend_on_each_other_or_on_the_number_of_nodes(tmp_path, nodes):
    """Without a codec, since the codec's errors depend on what a node has received before."""

    class OneMessage(LocalGrid):
        def push_messages(self, messages):
            messages = list(messages)
            assert len({message.metadata.dst_node_id for message in messages}) == len(messages)
            return super().push_messages(messages)

    settings = SHORT | {"rounds": 1, "baselines": False, "config": None}
    grid = OneMessage(client_app(tmp_path / "two", Digits(targets=TWO.targets)), nodes)
    together, _ = run(tmp_path / "two", topology=TWO, grid=grid, **settings)
    for target in TWO.targets:
        topology = Topology(targets=(target,), sources=TWO.sources)
        alone, _ = run(tmp_path / target, topology=topology, **settings)
        assert alone.targets[target] == together.targets[target]


@pytest.mark.parametrize("alpha", ["learned", "bound"])
def test_a_run_with_two_targets_is_resumed(tmp_path, alpha):
    settings = SHORT | {"baselines": False, "config": None, "alpha": alpha, "topology": BOTH_ROLES}
    saved = {}

    def stop(number, result):
        saved["result"] = result
        raise KeyboardInterrupt

    uninterrupted, _ = run(tmp_path / "uninterrupted", **settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", **settings, on_round=stop)
    assert saved["result"].last_round == 1
    resumed, _ = run(tmp_path / "killed", **settings, result=saved["result"])
    assert resumed.targets == uninterrupted.targets
    assert same_models(resumed, uninterrupted)


def test_a_target_that_fails_is_named(tmp_path):
    # Four nodes and four domains: calls 0-3 and 4-7 precede round 1; 8 and 9 are sources, 10 and 11 targets.
    grid = LocalGrid(client_app(tmp_path, Digits(targets=TWO.targets)), 4, failing={11})
    with pytest.raises(FedRetinaError, match="the node of the target left failed: node is gone"):
        run(tmp_path, topology=TWO, grid=grid, rounds=1, home_epochs=1, local_epochs=1, baselines=False)


def test_the_server_ignores_streams_that_it_did_not_ask_for(tmp_path, caplog):
    class Intruder(LocalGrid):
        def answer(self, message, number):
            reply = super().answer(message, number)
            if reply.content.array_records:
                name, model = next(iter(reply.content.array_records.items()))
                reply.content[f"../../{name}"] = model
            return reply

    app = client_app(tmp_path)
    result, _ = run(tmp_path, grid=Intruder(app, 3), rounds=1, home_epochs=1, local_epochs=1, baselines=False, config=None)
    assert set(result.models) == set(TOPOLOGY.domains)
    assert "published ['../../upright']: ignored" in caplog.text
