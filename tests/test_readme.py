"""Every Python snippet of the README runs, and every file that it names is there."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_snippets_run(number):
    exec(compile(SNIPPETS[number], f"README.md, snippet {number}", "exec"), {})


def test_named_files_exist():
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (README.parent / name).exists(), name


def test_the_example_of_reuse_is_the_documented_one():
    assert (README.parent / "docs" / "reuse-example.md").read_text(encoding="utf-8").strip() in TEXT
