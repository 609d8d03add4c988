"""How far a run is, from its folder."""

import json
import os

import pytest
from rich.console import Console

from fedretina import ledger
from fedretina.report import frame, progress_of, sparkline


@pytest.fixture
def under_way(run):
    """Two of five rounds are finished, 100 and 200 seconds after the start."""
    rounds = json.loads((run / "summary.json").read_text())["targets"]["duke"]["rounds"][:2]
    (run / "summary.json").unlink()
    entries = [{"round": e["round"], "metrics": {"mAP": e["mAP"]}, "alpha": e["alpha"]} for e in rounds]
    (run / "state.json").write_text(
        json.dumps({"run": "r", "targets": {"duke": {"rounds": entries, "baselines": {}}}, "models": []})
    )
    lines = [json.dumps(vars(row)) for row in ledger.read(run / "ledger.jsonl") if row.round <= 2]
    (run / "ledger.jsonl").write_text("\n".join(lines) + "\n")
    os.utime(run / "config.json", (1000, 1000))
    os.utime(run / "state.json", (1200, 1200))
    return run


def shown(progress):
    console = Console(width=150, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(frame(progress))
    return console.export_text()


def test_a_run_under_way(under_way):
    progress = progress_of(under_way, now=1230)
    assert (progress.status, progress.done, progress.planned) == ("unfinished", 2, 5)
    assert progress.seconds == 230
    assert progress.left == pytest.approx(5 * 100 - 230)
    text = shown(progress)
    assert "under way  round 2 of 5  3 min 50 s so far  about 4 min 30 s left" in text
    assert "▁█" in text
    assert "msmt17 0.40, cuhk03 0.31, market1501 0.29" in text
    assert progress.domains["msmt17"] == "works on round 2"
    assert progress.domains["duke"].startswith("waits: sent version 2 of duke in round 2 (")
    assert progress.totals == ledger.totals(ledger.read(under_way / "ledger.jsonl"))


def test_a_failed_message_is_told(under_way):
    row = ledger.read(under_way / "ledger.jsonl")[-1]
    with (under_way / "ledger.jsonl").open("a") as file:
        file.write(json.dumps(vars(row) | {"domain": "cuhk03", "direction": "up", "error": "no reply in 60 s"}) + "\n")
    assert progress_of(under_way).domains["cuhk03"] == "failed in round 2: no reply in 60 s"


def test_a_run_that_has_ended(run):
    progress = progress_of(run)
    assert (progress.status, progress.done, progress.left, progress.domains) == ("completed", 5, None, {})
    assert "completed  round 5 of 5" in shown(progress)


def test_a_run_that_has_just_begun(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    progress = progress_of(tmp_path, now=(tmp_path / "config.json").stat().st_mtime + 3)
    assert (progress.done, progress.planned, progress.left) == (0, 0, None)
    assert "round 0  3 s so far" in shown(progress)


def test_sparklines_of_nothing_and_of_equal_numbers():
    assert (sparkline([]), sparkline([5.0]), sparkline([1, 8])) == ("", "▁", "▁█")
