"""Every key of the app city_scale is read and checked; a folder of another app is not touched."""

import json
import logging
import subprocess
import sys

import pytest
from city_scale_run import APP, CITY, DEFAULTS, run_city

from fedretina.errors import BadArgument
from fedretina.strategies.mutual_reuse import LinkModel, Selection
from settings_city import check

SMALL = {"domains": 4, "districts": 2, "samples": 40, "turns": 2, "home-epochs": 1, "local-epochs": 1}


def test_the_defaults_are_allowed():
    check(DEFAULTS)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("domains", 1, "2 or more"),
        ("districts", 0, "1 or more"),
        ("samples", 0, "1 or more"),
        ("labelled", 0.0, "a number above 0"),
        ("bad", 1.5, "from 0 to 1"),
        ("data-root", "relative", "an absolute path"),
        ("split-by", "street", "'camera', 'site'"),
        ("split-by", "site", "without data-root"),
        ("cameras", -1, "1 or more"),
        ("cameras", 2, "without data-root"),
        ("model", "bad", "'small'"),
        ("model", "resnet50", "without data-root"),
        ("turns", 0, "turns = 0: 1 or more"),
        ("local-epochs", 0, "1 or more"),
        ("home-epochs", -1, "0 or more"),
        ("policy", "oracle", "'nearest'"),
        ("policy", "all", "give budget = 0"),
        ("budget", -5, "0 or more"),
        ("trust", "yes", "true or false"),
        ("relative-error", 0.0, "relative-error = 0.0"),
        ("keyframe-error", 1.0, "keyframe-error = 1.0"),
        ("spread", 300.0, "0 to 10"),
        ("spread", float("inf"), "0 to 10"),
        ("offline", -0.1, "0 to 1"),
        ("down-mbit", 0.0, "down-mbit"),
        ("engine", "bogus", "'flower', 'inprocess'"),
        ("processes", -1, "0 or more"),
    ],
)
def test_a_wrong_value_says_what_is_allowed(key, value, allowed):
    with pytest.raises(BadArgument, match=allowed):
        check(DEFAULTS | {key: value})


def test_the_command_has_one_engine():
    command = [sys.executable, str(APP), "engine=flower"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("engine = 'flower': this command has a pool of processes only")


def test_the_folder_of_another_app_is_refused_and_stays_as_it_is(tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps({"targets": "duke", "seed": 0}))
    (run / "ledger.jsonl").write_text("rows\n")
    with pytest.raises(BadArgument, match=r"another app or release \(by run-name, targets\)"):
        run_city(tmp_path, monkeypatch, resume=True)
    assert (run / "ledger.jsonl").read_text() == "rows\n"


def test_a_resumed_run_says_which_given_values_it_does_not_use(tmp_path, monkeypatch):
    run_city(tmp_path, monkeypatch, **SMALL)
    said = []
    config = DEFAULTS | SMALL | {"turns": 6, "processes": 3, "resume": str(tmp_path / "run")}
    grid = CITY.ProcessGrid("client_app:app", 4, processes=1, paths=[str(APP)])
    with grid as pool:
        CITY.run(config, pool, say=said.append)
    assert said[0] == "a resumed run keeps its configuration; not used: turns"


def test_a_selection_and_links_are_checked_when_they_are_made():
    with pytest.raises(BadArgument, match="policy"):
        Selection(policy="nearst")
    with pytest.raises(BadArgument, match="1 or more"):
        Selection(budget=-5)
    with pytest.raises(BadArgument, match="0 to 10"):
        LinkModel(spread=300)


def test_a_budget_below_every_version_is_told_once(tmp_path, monkeypatch, caplog):
    with caplog.at_level(logging.WARNING, logger="fedretina.strategies"):
        turns = run_city(tmp_path, monkeypatch, **SMALL, budget=10)
    assert not any(turn.versions for turn in turns)
    (line,) = [record.message for record in caplog.records if "learns from nobody" in record.message]
    assert "its budget is 10 bytes, the smallest version takes " in line
