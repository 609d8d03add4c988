"""`fedretina watch`."""

import json
import time

import pytest
from typer.testing import CliRunner

from fedretina import home
from fedretina.cli import app
from sample_run import make_run

runner = CliRunner()
pytestmark = pytest.mark.usefixtures("own_home")


def test_a_run_that_has_ended_has_its_rounds_as_lines():
    make_run(home.runs() / "first")
    result = runner.invoke(app, ["watch"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len([line for line in lines if "61.2 %" in line and "duke" in line]) == 1
    assert len([line for line in lines if line.startswith("target")]) == 1
    assert lines[-1] == "first completed"


def test_it_follows_a_run_under_way_and_ends_with_it(monkeypatch):
    folder = make_run(home.runs() / "first")
    summary = (folder / "summary.json").read_text()
    (folder / "summary.json").unlink()
    rounds = json.loads(summary)["targets"]["duke"]["rounds"]

    def state(count):
        entries = [{"round": e["round"], "metrics": {"mAP": e["mAP"]}, "alpha": e["alpha"]} for e in rounds[:count]]
        text = json.dumps({"run": "r", "targets": {"duke": {"rounds": entries, "baselines": {}}}, "models": []})
        (folder / "state.json").write_text(text)

    looks = []

    def sleep(seconds):
        looks.append(seconds)
        state(2)
        if len(looks) == 2:
            (folder / "summary.json").write_text(json.dumps({"status": "failed", "error": "all nodes left"}))

    state(1)
    monkeypatch.setattr(time, "sleep", sleep)
    result = runner.invoke(app, ["watch", "first", "--interval", "0.5"])
    lines = result.stdout.splitlines()
    assert looks == [0.5, 0.5]
    assert [line.split()[:2] for line in lines[1:3]] == [["duke", "1"], ["duke", "2"]]
    assert lines[-1] == "first failed: all nodes left"


def test_without_a_run_it_says_so():
    result = runner.invoke(app, ["watch", "gone"])
    assert result.exit_code == 1
    assert "is no run" in result.stderr
