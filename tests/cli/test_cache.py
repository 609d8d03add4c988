"""`fedretina cache`."""

import pytest
from typer.testing import CliRunner

from fedretina import home
from fedretina.cli import app

runner = CliRunner()
pytestmark = pytest.mark.usefixtures("own_home")


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
    assert "choose one of" in result.stderr
    assert kept() == list(home.FOLDERS)
