"""docs/studies.md: its example runs, and it names every study and nothing that is not there."""

import re
from pathlib import Path

from digits import Digits
from fedretina.study import STUDIES

TEXT = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")


def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (snippet,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names = {"my_task": lambda setting: Digits(targets=(setting.target,))}
    exec(compile(snippet, "docs/studies.md", "exec"), names)
    assert "| committee |" in names["page"].read_text()


def test_every_study_is_told_of():
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) == set(STUDIES)


def test_named_files_exist():
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (Path(__file__).parents[2] / "docs" / name).exists(), name
