"""The run's folder of the experiment: saved results are read back, the summary adds up. tests/runs has the rest."""

import json
from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord

from fedretina.errors import BadArgument
from fedretina.strategies.peer_reuse import RoundResult, RunResult, TargetResult
from rows import row
from run_folder import RunFolder, summarise

CONFIG = {"targets": "duke", "sources": "msmt17, cuhk03", "seed": 3, "data-root": "", "model": "small"}


@pytest.fixture
def result():
    model = ArrayRecord({"w": Array(np.arange(6, dtype=np.float32).reshape(2, 3)), "n": Array(np.array(4))})
    peers = {"msmt17": {"score": 50.0, "risk": 0.5}, "cuhk03": {"score": 25.0, "risk": 0.75}}
    rounds = [RoundResult(1, {"mAP": 40.0, "rank1": 50.0}, {"msmt17": 0.6, "cuhk03": 0.4}, peers=peers)]
    baselines = {"alone": {"mAP": 30.0, "rank1": 35.0}, "finetune": {"mAP": 41.0, "rank1": 52.0}}
    return RunResult({"duke": TargetResult(rounds, baselines, "msmt17")}, {"duke": model, "duke/target": model})


def test_saved_results_are_read_back(tmp_path, result):
    folder = RunFolder(tmp_path)
    folder.begin(CONFIG, "abc")
    folder.save("abc", result)
    run, again = RunFolder.open("", str(tmp_path)).read()
    assert run == "abc"
    assert again.targets == result.targets
    for stream, model in result.models.items():
        for name, array in model.items():
            assert np.array_equal(array.numpy(), again.models[stream][name].numpy())


def test_a_run_that_was_killed_while_it_began_is_not_a_run(tmp_path, monkeypatch):
    folder = RunFolder.open(str(tmp_path), "")

    def killed(*state):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.begin(CONFIG, "abc")
    with pytest.raises(BadArgument, match=r"no config\.json"):
        RunFolder.open("", str(tmp_path))
    RunFolder.open(str(tmp_path), "").begin(CONFIG, "abc")


def test_the_summary_adds_up(result):
    rows = [row(0, "down", 5, 5), row(1, "down", 100, 10), row(1, "up", 50, 4)]
    summary = summarise(CONFIG, result, rows, status="completed").to_json()
    results = summary["targets"]["duke"]["results"]
    assert results["alone"] == {"mAP": 30.0, "rank1": 35.0}
    assert results["finetune"] == {"mAP": 41.0, "rank1": 52.0, "source": "msmt17"}
    assert (summary["raw_bytes_down"], summary["wire_bytes_down"], summary["wire_bytes_up"]) == (105, 15, 4)
    assert summary["rounds"][0]["raw_bytes_down"] == 105
    assert summary["sources"] == ["msmt17", "cuhk03"]
    assert summary["data"] == "embedded"


def test_the_summary_has_the_values_of_each_peer(result):
    rows = [
        row(1, "up", 90, 9, stream="msmt17"),
        row(1, "down", 90, 8, stream="msmt17"),
        row(1, "down", 90, 7, stream="cuhk03"),
        row(2, "down", 90, 6, stream="msmt17"),
        replace(row(1, "down", 90, 5, stream="msmt17"), domain="yard"),
    ]
    entry = summarise(CONFIG, result, rows, status="completed").to_json()["targets"]["duke"]["rounds"][0]
    assert entry["peers"] == {
        "msmt17": {"score": 50.0, "risk": 0.5, "wire_bytes_down": 8},
        "cuhk03": {"score": 25.0, "risk": 0.75, "wire_bytes_down": 7},
    }
    assert entry["bound"] == pytest.approx(0.36 * 0.5 + 0.16 * 0.75)


def test_a_run_without_risks_is_resumed(tmp_path, result):
    folder = RunFolder(tmp_path)
    folder.begin(CONFIG, "abc")
    folder.save("abc", result)
    file = tmp_path / "state.json"
    state = json.loads(file.read_text())
    for entry in state["targets"]["duke"]["rounds"]:
        del entry["peers"]
    file.write_text(json.dumps(state))
    again = folder.read()[1]
    assert again.targets["duke"].rounds[0].bound is None
    duke = summarise(CONFIG, again, [], status="completed").to_json()["targets"]["duke"]
    assert not {"bound", "peers"} & set(duke["rounds"][0])


def test_a_failed_run_says_why():
    summary = summarise(CONFIG, RunResult(), [], status="failed", error="gamma = -1").to_json()
    assert (summary["status"], summary["error"], summary["rounds"]) == ("failed", "gamma = -1", [])


@pytest.mark.parametrize("key", ["targets", "sources"])
def test_a_run_with_a_wrong_configuration_has_a_summary(key):
    summary = summarise(CONFIG | {key: 3}, RunResult(), [], status="failed", error=f"{key} = 3").to_json()
    assert list(summary[key]) == ["3"]
