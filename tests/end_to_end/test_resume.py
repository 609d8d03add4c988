"""A run that is killed goes on where it was."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fedretina import ledger

DOMAINS = ("greek", "latin", "korean")
CONFIG = (
    *("targets='greek'", "sources='latin,korean'", "rounds=3", "local-epochs=1", "home-epochs=1"),
    *("device='cpu'", "progress='epoch'", "body-rounds=0", "co-training='off'"),
)
PATIENCE_S = 300


def targets(file: Path) -> dict:
    return json.loads(file.read_text())["targets"]


def finished_rounds(out: Path) -> int:
    state = out / "state.json"
    return min((len(target["rounds"]) for target in targets(state).values()), default=0) if state.exists() else -1


def kill_when(flower, run, happened: Callable[[], bool]) -> None:
    """Kill a run once `happened` is true."""
    end = time.monotonic() + PATIENCE_S
    while not happened() and run.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    flower.kill()
    output = run.communicate(timeout=60)[0]
    assert happened(), output


def epochs(output: str, learner: str) -> list[int]:
    return [int(epoch) for epoch in re.findall(rf"{learner} +epoch +(\d+)/", output)]


@pytest.mark.slow
def test_a_run_that_is_killed_twice_goes_on_after_its_last_round(own_flower, omniglot, tmp_path):
    out = tmp_path / "run"
    run = own_flower.start(*CONFIG, f"data-root='{omniglot}'", f"out='{out}'")
    kill_when(own_flower, run, lambda: any(out.glob("streams/*/*")))
    assert finished_rounds(out) == 0

    # Round 1 was not finished, so it is repeated; a source that has published its version publishes it again.
    run = own_flower.start(f"resume='{out}'")
    kill_when(own_flower, run, lambda: finished_rounds(out) == 1)
    first = targets(out / "state.json")["greek"]["rounds"][0]
    before = (out / "ledger.jsonl").read_bytes().rpartition(b"\n")[0]
    report = own_flower.fedretina("report", str(out))
    assert report.returncode == 1
    assert "did not complete" in report.stderr

    # Round 1 is not repeated: nothing of it is trained or sent again, and its numbers are those of the state.
    output = own_flower.run(f"resume='{out}'")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["status"] == "completed", output
    assert epochs(output, "latin/source") == [3, 4]
    assert epochs(output, "greek/reuse") == epochs(output, "greek/alone") == [2, 3]
    greek = summary["targets"]["greek"]
    assert [entry["round"] for entry in greek["rounds"]] == [1, 2, 3]
    assert greek["rounds"][0]["alpha"] == first["alpha"]
    assert greek["rounds"][0]["mAP"] == first["metrics"]["mAP"]
    assert {"alone", "finetune", "reuse", "full"} <= set(greek["results"])

    # The ledger continues, and the next versions of the sources are differences to those before the kill.
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
