"""Front ends: each target's newest model reaches them, and they cannot hold up a run."""

import numpy as np
import pytest
from digits_run import TARGET, client_app, run
from flwr.app import Array, ArrayRecord, Message, RecordDict
from safetensors.numpy import load_file

from fedretina.atomic import SUFFIX
from fedretina.strategies import ModelFolder, Topology
from fedretina.strategies.peer_reuse import front_ends
from fedretina.testing import LocalGrid

SETTINGS = {"rounds": 2, "local_epochs": 1, "home_epochs": 1, "baselines": False, "committee": False}
KIOSK = 102


def grid_with_a_front_end(folder, **options):
    grid = LocalGrid(client_app(folder), 3, **options)
    grid.contexts[KIOSK].node_config |= {"role": "front-end", "domains": "kiosk"}
    return grid


def models_at_kiosk(folder):
    found = (folder / "models" / str(KIOSK)).rglob("*.safetensors")
    return {str(path.relative_to(folder / "models" / str(KIOSK))): load_file(path) for path in found}


def to_kiosk(wire):
    return [(row.round, row.stream, row.kind) for row in wire.ledger.rows if row.domain == "kiosk" and row.stream]


def check_equal(found, model):
    assert found.keys() == dict(model).keys()
    assert all(np.array_equal(found[name], array.numpy()) for name, array in model.items())


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("done")
    grid = grid_with_a_front_end(folder)
    return folder, grid, *run(folder, grid=grid, **SETTINGS)


def test_every_round_brings_the_targets_version_as_a_difference(done):
    folder, _, result, wire = done
    (name, found), *others = models_at_kiosk(folder).items()
    assert (name, others) == (f"{TARGET}.safetensors", [])
    check_equal(found, result.models[TARGET])
    assert to_kiosk(wire) == [(1, TARGET, "keyframe"), (2, TARGET, "delta")]


def test_a_front_end_trains_nothing(done):
    _, grid, _, wire = done
    asked = {message.metadata.message_type for message in grid.sent if message.metadata.dst_node_id == KIOSK}
    assert asked == {"query.domains", front_ends.DELIVERY}
    assert wire.nodes.role_of(KIOSK) == "front-end"


def test_all_targets_arrive_also_those_that_are_sources(tmp_path):
    topology = Topology(targets=("faint", "upright"), sources=("upright", "left"))
    run(tmp_path, topology=topology, grid=grid_with_a_front_end(tmp_path), **SETTINGS | {"rounds": 1})
    assert models_at_kiosk(tmp_path).keys() == {"faint.safetensors", "upright/target.safetensors"}


def test_without_front_ends_nothing_is_sent(tmp_path):
    grid = LocalGrid(client_app(tmp_path), 3)
    run(tmp_path, grid=grid, **SETTINGS | {"rounds": 1})
    assert front_ends.DELIVERY not in {message.metadata.message_type for message in grid.sent}


def test_a_front_end_that_is_gone_gets_the_models_of_the_next_round(tmp_path, caplog):
    grid = grid_with_a_front_end(tmp_path)
    answer, silent = grid.answer, [True]

    def answer_or_fail(message, number):
        if message.metadata.message_type == front_ends.DELIVERY and silent:
            silent.pop()
            grid.failing.add(number)
        return answer(message, number)

    grid.answer = answer_or_fail
    result, wire = run(tmp_path, grid=grid, **SETTINGS)
    assert "round 1: without the new models: front end kiosk" in caplog.text
    assert to_kiosk(wire)[-1][0] == 2
    check_equal(models_at_kiosk(tmp_path)[f"{TARGET}.safetensors"], result.models[TARGET])
    assert len(result.targets[TARGET].rounds) == 2


def ask(folder, stream):
    grid = LocalGrid(client_app(folder), 1)
    record = ArrayRecord({"w": Array(np.ones(3, np.float32))})
    message = Message(RecordDict({stream: record}), dst_node_id=100, message_type=front_ends.DELIVERY)
    return ModelFolder(folder / "models")(message, grid.contexts[100])


@pytest.mark.parametrize("stream", ["../duke", "a//b", ".hidden", "a/../../b", "back\\slash"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, stream):
    reply = ask(tmp_path, stream)
    assert "is no stream's name: nothing was written" in reply.content["error"]["text"]
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_full_disk_is_named_and_the_model_before_stays(tmp_path, monkeypatch):
    assert "error" not in ask(tmp_path, "duke").content
    before = (tmp_path / "models" / "duke.safetensors").read_bytes()

    def full(arrays, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(front_ends, "save_file", full)
    assert "No space left on device; free space" in ask(tmp_path, "duke").content["error"]["text"]
    assert (tmp_path / "models" / "duke.safetensors").read_bytes() == before
    assert not list(tmp_path.rglob(f"*{SUFFIX}"))
