"""A run that is killed goes on where it was."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fedretina import ledger

DOMAINS = ("greek", "latin", "korean")
CONFIG = ("target='greek'", "sources='latin,korean'", "rounds=3", "local-epochs=1", "home-epochs=1", "device='cpu'")
PATIENCE_S = 300


def rounds_kept(out: Path) -> int:
    state = out / "state.json"
    return len(json.loads(state.read_text())["rounds"]) if state.exists() else -1


def kill_when(flower, run, happened: Callable[[], bool]) -> None:
    """Let a run come to where something has happened, and end it there."""
    end = time.monotonic() + PATIENCE_S
    while not happened() and run.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    flower.kill()
    told = run.communicate(timeout=60)[0]
    assert happened(), told


def epochs(told: str, learner: str) -> list[int]:
    return [int(epoch) for epoch in re.findall(rf"{learner} +epoch +(\d+)/", told)]


@pytest.mark.slow
def test_a_run_that_is_killed_twice_goes_on_after_its_last_round(own_flower, omniglot, tmp_path):
    out = tmp_path / "run"
    run = own_flower.start(*CONFIG, f"data-root='{omniglot}'", f"out='{out}'")
    kill_when(own_flower, run, lambda: any(out.glob("streams/*/*")))
    assert rounds_kept(out) == 0

    # Nothing of round 1 was kept, so it is done again; a source that has published does so once more.
    run = own_flower.start(f"resume='{out}'")
    kill_when(own_flower, run, lambda: rounds_kept(out) == 1)
    first = json.loads((out / "state.json").read_text())["rounds"][0]
    before = (out / "ledger.jsonl").read_bytes().rpartition(b"\n")[0]
    report = own_flower.fedretina("report", str(out))
    assert report.returncode == 1
    assert "did not complete" in report.stderr

    # Round 1 stays as it was: nothing of it is trained or sent again, its numbers are those that were kept.
    told = own_flower.run(f"resume='{out}'")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["status"] == "completed", told
    assert epochs(told, "latin/source") == [3, 4]
    assert epochs(told, "greek/reuse") == epochs(told, "greek/alone") == [2, 3]
    assert [entry["round"] for entry in summary["rounds"]] == [1, 2, 3]
    assert summary["rounds"][0]["alpha"] == first["alpha"]
    assert summary["rounds"][0]["mAP"] == first["metrics"]["mAP"]
    assert {"baseline", "finetune", "reuse", "full"} <= set(summary)

    # The ledger continues, and the sources' next versions are differences to those from before the kill.
    assert (out / "ledger.jsonl").read_bytes().startswith(before)
    rows = ledger.read(out / "ledger.jsonl")
    after = rows[len(before.splitlines()) :]
    assert {row.round for row in after} == {0, 2, 3}
    assert {row.kind for row in after if row.direction == "up" and row.stream} == {"delta"}
    assert summary["wire_bytes_down"] + summary["wire_bytes_up"] == ledger.totals(rows).wire

    assert {file.stem for file in (out / "models").glob("*.safetensors")} == set(DOMAINS)
    report = own_flower.fedretina("report", str(out))
    assert report.returncode == 0, report.stderr
    assert (out / "report.html").stat().st_size > 100_000
