"""`fedretina report`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedretina import home
from fedretina.cli import app

runner = CliRunner()
pytestmark = pytest.mark.usefixtures("own_home")


def make_run(name: str, **summary: object) -> Path:
    folder = home.runs() / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"target": "duke"}))
    if summary:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


COMPLETED = {"status": "completed", "target": "duke", "reuse": {"mAP": 61.2}, "rounds": [{"round": 1, "mAP": 61.2}]}


def test_report_of_the_latest_run() -> None:
    folder = make_run("first", **COMPLETED)
    result = runner.invoke(app, ["report"])
    assert result.exit_code == 0, result.output
    assert "61.2 %" in result.stdout
    assert result.stdout.splitlines()[-1] == str(folder / "report.html")
    assert (folder / "report.html").exists()


def test_report_by_name_and_by_path() -> None:
    folder = make_run("first", **COMPLETED)
    assert runner.invoke(app, ["report", "first"]).exit_code == 0
    assert runner.invoke(app, ["report", str(folder)]).exit_code == 0


def test_report_of_a_failed_run_builds_the_page_and_exits_1() -> None:
    folder = make_run("first", status="failed", error="all nodes left")
    result = runner.invoke(app, ["report"])
    assert result.exit_code == 1
    assert "all nodes left" in result.stderr
    assert "all nodes left" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["report"], "no run in"), (["report", "gone"], "is no run"), (["report", "."], "is no run")],
)
def test_report_without_a_run(arguments: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert reason in result.stderr
    assert "Traceback" not in result.output


def test_report_of_an_unfinished_and_of_a_damaged_run() -> None:
    folder = make_run("first")
    result = runner.invoke(app, ["report"])
    assert result.exit_code == 1
    assert "did not complete" in result.stderr
    (folder / "summary.json").write_text("{")
    result = runner.invoke(app, ["report"])
    assert result.exit_code == 1
    assert "summary.json: not JSON" in result.stderr


def test_several_runs_are_compared(tmp_path: Path) -> None:
    make_run("first", **COMPLETED)
    make_run("second", **COMPLETED)
    result = runner.invoke(app, ["report", "first", "second", "--out", str(tmp_path / "both.png")])
    assert result.exit_code == 0, result.output
    assert "second" in result.stdout
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    result = runner.invoke(app, ["report", "first", "second", "--out", str(tmp_path / "no" / "both.png")])
    assert "cannot write" in result.stderr


def test_a_csv_file_on_request(tmp_path: Path) -> None:
    make_run("first", **COMPLETED)
    assert runner.invoke(app, ["report", "--csv", str(tmp_path / "rounds.csv")]).exit_code == 0
    assert (tmp_path / "rounds.csv").read_text().startswith("run,target,round")
