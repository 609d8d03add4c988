"""A run's folder: nothing of others is removed, an unusable one is named, bytes add up."""

import pytest

from fedretina.errors import BadArgument
from fedretina.runs import RunFolder, byte_counts, bytes_of_round
from rows import row


def test_a_new_run_gets_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path))
    assert RunFolder.open("", "").path != RunFolder.open("", "").path


def test_a_given_folder_may_hold_other_files_but_no_run(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    folder = RunFolder.open(str(tmp_path), "")
    folder.begin({"seed": 1})
    assert (tmp_path / "mine.txt").read_text() == "x"
    assert "fedretina" in folder.read("versions.json")
    assert folder.read("nothing.json") is None
    with pytest.raises(BadArgument, match="holds a run already"):
        RunFolder.open(str(tmp_path), "")
    assert RunFolder.open("", str(tmp_path)).read("config.json") == {"seed": 1}


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


def test_bytes_add_up_and_the_first_round_has_what_came_before():
    rows = [row(0, "down", 5, 5), row(1, "down", 100, 10), row(1, "up", 50, 4), row(2, "up", 7, 7)]
    assert byte_counts(rows) == {"raw_bytes_down": 105, "raw_bytes_up": 57, "wire_bytes_down": 15, "wire_bytes_up": 11}
    assert bytes_of_round(rows, 1)["raw_bytes_down"] == 105
    assert bytes_of_round(rows, 2) == {"raw_bytes_down": 0, "raw_bytes_up": 7, "wire_bytes_down": 0, "wire_bytes_up": 7}
