import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedretina import __version__, home
from fedretina.cli import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


def make_run(name: str, **summary: object) -> Path:
    folder = home.runs() / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"target": "duke"}))
    if summary:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


COMPLETED = {"status": "completed", "target": "duke", "reuse": {"mAP": 61.2}, "rounds": [{"round": 1, "mAP": 61.2}]}


def test_version_is_quick() -> None:
    code = "import sys; from fedretina.cli import app; print(sorted({'torch', 'matplotlib', 'flwr'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"fedretina {__version__}\n")


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
    assert "summary.json: no JSON" in result.stderr


def fill() -> None:
    for name in home.FOLDERS:
        (home.folder(name) / "entry").write_bytes(bytes(2_000_000))


def test_cache_ls() -> None:
    fill()
    result = runner.invoke(app, ["cache", "ls"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in home.FOLDERS)
    assert "12.0 MB" in result.stdout


def kept() -> list[str]:
    return [name for name in home.FOLDERS if (home.folder(name) / "entry").exists()]


def test_cache_clear_asks_first() -> None:
    fill()
    assert runner.invoke(app, ["cache", "clear"], input="n\n").exit_code == 1
    assert kept() == list(home.FOLDERS)
    assert runner.invoke(app, ["cache", "clear"], input="y\n").exit_code == 0
    assert kept() == ["runs", "studies"]


def test_cache_clear_deletes_what_is_named() -> None:
    fill()
    result = runner.invoke(app, ["cache", "clear", "runs", "nodes", "runs", "--yes"])
    assert result.exit_code == 0
    assert "freed 4.0 MB" in result.stdout
    assert kept() == ["renderings", "decoded", "references", "studies"]


def test_cache_clear_of_an_unknown_name_deletes_nothing() -> None:
    fill()
    result = runner.invoke(app, ["cache", "clear", "nodes", "other", "--yes"])
    assert result.exit_code == 1
    assert "choose among" in result.stderr
    assert kept() == list(home.FOLDERS)
