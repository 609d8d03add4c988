"""A run's folder: nothing of others is removed, an unusable one is named."""

import json

import pytest

from fedretina.errors import BadArgument
from fedretina.runs import RunFolder, read_config
from fedretina.runs.fields import load_json


def test_a_new_run_gets_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path))
    assert RunFolder.open("", "").path != RunFolder.open("", "").path


def test_a_given_folder_may_hold_other_files_but_no_run(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    folder = RunFolder.open(str(tmp_path), "")
    folder.begin({"seed": 1})
    assert (tmp_path / "mine.txt").read_text() == "x"
    assert "fedretina" in json.loads((tmp_path / "versions.json").read_text())
    assert load_json(tmp_path / "nothing.json") is None
    with pytest.raises(BadArgument, match="holds a run already"):
        RunFolder.open(str(tmp_path), "")
    assert read_config(RunFolder.open("", str(tmp_path)).path).values == {"seed": 1}


@pytest.mark.parametrize(
    ("out", "resume", "said"),
    [
        ("runs/x", "", "out = 'runs/x': give an absolute path"),
        ("", "runs/x", "resume = 'runs/x': give an absolute path"),
        ("", "/no/such/run", "resume = '/no/such/run': there is no config.json"),
        (__file__, "", "that is no folder"),
    ],
)
def test_an_unusable_folder_is_named(out, resume, said):
    with pytest.raises(BadArgument, match=said):
        RunFolder.open(out, resume)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(BadArgument, match=r"the run's folder .*run cannot be made \(File exists\): give another folder"):
        RunFolder(tmp_path / "run")
