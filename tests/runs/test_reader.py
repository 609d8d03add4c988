import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fedretina import home
from fedretina.errors import BadArgument, Corrupt
from fedretina.runs import latest, load


def test_everything_is_read(run: Path) -> None:
    found = load(run)
    assert (found.status, found.reason) == ("completed", "")
    (duke,) = found.histories
    assert duke.metrics == ["mAP", "rank1"]
    assert duke.results["finetune"].source == "msmt17"
    assert [entry.number for entry in duke.rounds] == [1, 2, 3, 4, 5]
    assert duke.rounds[0].metrics == {"mAP": 51.8, "rank1": 68.2}
    assert [entry.totals for entry in duke.rounds] == [entry.totals for entry in found.rounds]
    assert found.totals.raw == sum(row.raw_bytes for row in found.rows)
    assert len(duke.rankings) == 1


def test_failed_and_unfinished(run: Path, edit: Callable[..., None]) -> None:
    edit(status="failed", error="all nodes left")
    assert (load(run).status, load(run).reason) == ("failed", "all nodes left")
    (run / "summary.json").unlink()
    found = load(run)
    assert found.status == "unfinished"
    assert found.totals.wire > 0


def test_other_metrics(run: Path, edit_target: Callable[..., None], edit_results: Callable[..., None]) -> None:
    rounds = [{"round": 1, "accuracy": 90.5, "loss": 0.3}]
    edit_target(rounds=rounds)
    edit_results(reuse={"accuracy": 93.1, "loss": 0.2}, alone=None, finetune=None, full=None)
    assert load(run).histories[0].metrics == ["accuracy", "loss"]


def test_a_folder_without_records_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(BadArgument, match="is no run"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "fine"}, "status is 'fine'"),
        ({"rounds": {}}, "rounds is {}"),
        ({"rounds": [{"mAP": 3}]}, r"rounds\[0\]: round is missing"),
        ({"targets": {"duke": {"results": {"reuse": [61.2]}}}}, "targets, duke, results, reuse: an object was expected"),
        ({"raw_bytes_up": "many"}, "raw_bytes_up is 'many'"),
        ({"targets": 3}, "targets: an object was expected, not 3"),
        ({"targets": {"duke": {"rounds": [{"mAP": 3}]}}}, r"duke, rounds\[0\]: round is missing"),
    ],
)
def test_a_bad_summary_names_file_and_key(
    run: Path, edit: Callable[..., None], change: dict[str, object], words: str
) -> None:
    edit(**change)
    with pytest.raises(Corrupt, match=f"summary.json.*{words}"):
        load(run)


@pytest.mark.parametrize("name", ["summary.json", "config.json", "versions.json", "ranking.json"])
@pytest.mark.parametrize("content", ["{", "3", '"words"', "[" * 100_000])
def test_a_bad_file_is_named(run: Path, name: str, content: str) -> None:
    (run / name).write_text(content)
    with pytest.raises(Corrupt, match=name):
        load(run)


def test_a_ranking_without_its_parts_is_refused(run: Path) -> None:
    (run / "ranking.json").write_text(json.dumps({"duke": [{"query": {"identity": 3}}]}))
    with pytest.raises(Corrupt, match="query: picture is missing"):
        load(run)


def test_latest_is_the_run_whose_records_changed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path))
    with pytest.raises(BadArgument, match="no run in"):
        latest()
    for name, when in (("old", 1_000), ("new", 3_000), ("middle", 2_000)):
        (home.runs() / name).mkdir()
        (home.runs() / name / "config.json").write_text("{}")
        os.utime(home.runs() / name / "config.json", (when, when))
    (home.runs() / "no-run").mkdir()
    (home.runs() / "old" / "report.html").touch()
    assert latest() == home.runs() / "new"
