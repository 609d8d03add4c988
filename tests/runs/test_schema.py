"""The schema of a run: what is written is read back equal, bytes add up."""

import json
from pathlib import Path

from fedretina import ledger
from fedretina.ledger import Totals
from fedretina.runs import Result, Round, RoundState, RunFolder, State, Summary, TargetState, load, read_state
from fedretina.runs.documents import read_summary
from fedretina.runs.schema import totals_of_round, traffic_to_json
from rows import row


def test_bytes_add_up_and_the_first_round_includes_earlier_messages():
    rows = [row(0, "down", 5, 5), row(1, "down", 100, 10), row(1, "up", 50, 4), row(2, "up", 7, 7)]
    sums = traffic_to_json(ledger.totals(rows))
    assert sums == {"raw_bytes_down": 105, "raw_bytes_up": 57, "wire_bytes_down": 15, "wire_bytes_up": 11}
    assert traffic_to_json(totals_of_round(rows, 1))["raw_bytes_down"] == 105
    second = traffic_to_json(totals_of_round(rows, 2))
    assert second == {"raw_bytes_down": 0, "raw_bytes_up": 7, "wire_bytes_down": 0, "wire_bytes_up": 7}


def test_a_summary_is_written_as_it_was_read(run: Path) -> None:
    before = json.loads((run / "summary.json").read_text())
    for entry in before["targets"]["duke"]["rounds"]:
        if not entry["committee"]:
            del entry["committee"]  # what a round does not have is left out
    summary = read_summary(run, [])
    assert summary.to_json() == before
    RunFolder(run).write_summary(summary)
    assert read_summary(run, []) == summary


def test_a_run_without_a_target_has_its_metrics_at_the_top(tmp_path: Path) -> None:
    rounds = [Round(1, {"accuracy": 90.0, "loss": 0.1}, {}, Totals(9, 8, 2, 1))]
    summary = Summary(
        status="completed", strategy="FedAdam", codec="dom", seed=0, data="digits", model="64-10",
        final_metrics={"accuracy": 90.0}, totals=Totals(9, 8, 2, 1), rounds=rounds,
    )  # fmt: skip
    traffic = {"raw_bytes_down": 9, "raw_bytes_up": 8, "wire_bytes_down": 2, "wire_bytes_up": 1}
    assert summary.to_json() == {
        "status": "completed", "strategy": "FedAdam", "codec": "dom", "seed": 0, "data": "digits", "model": "64-10",
        "accuracy": 90.0, **traffic, "rounds": [{"round": 1, "accuracy": 90.0, "loss": 0.1, **traffic}],
    }  # fmt: skip
    RunFolder(tmp_path).write_summary(summary)
    found = load(tmp_path)
    (history,) = found.histories
    assert (history.target, history.method, history.last) == ("", "FedAdam", {"accuracy": 90.0, "loss": 0.1})
    assert found.facts == {"model": "64-10", "data": "digits", "seed": "0"}


def test_a_result_names_its_source_only_where_it_has_one():
    assert Result("finetune", {"mAP": 41.0}, "msmt17").to_json() == {"mAP": 41.0, "source": "msmt17"}
    assert Result("reuse", {"mAP": 41.0}).to_json() == {"mAP": 41.0}


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    peers = {"msmt17": {"score": 50.0, "risk": 0.5}}
    share = {"share": 12, "accuracy": 90.5}
    rounds = [RoundState(round=1, metrics={"mAP": 40.0}, alpha={"msmt17": 1.0}, committee=share, peers=peers)]
    duke = TargetState(rounds=rounds, baselines={"alone": {"mAP": 30.0}}, finetuned="msmt17")
    state = State(
        run="abc", targets={"duke": duke, "market1501": TargetState(rounds=[])}, models=["duke", "market1501/target"]
    )
    RunFolder(tmp_path).write_state(state)
    assert read_state(tmp_path) == state
    before = (tmp_path / "state.json").read_text()
    RunFolder(tmp_path).write_state(read_state(tmp_path))
    assert (tmp_path / "state.json").read_text() == before  # whole numbers stay whole
