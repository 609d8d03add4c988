"""Generated pages are current; the hand-written ones name what the code has."""

import json
import re
from dataclasses import asdict, fields
from tomllib import loads

import pytest

from fedretina.ledger import Row
from fedretina.runs import State, load
from fedretina.study import STUDIES
from generate import configuration
from generate.pages import PAGES
from pages import DOCS, name_of, read
from sample_run import make_run


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_generated_pages_are_current(page):
    assert PAGES[page]() == read(page), "run `python docs/generate` and look at what changed"


def test_the_guide_runs_its_commands():
    assert read(DOCS / "guides" / "dom-files.md").count("\n$ fedretina dom ") == 13


def test_every_key_has_an_explanation():
    text = '[tool.flwr.app.config]\n# Data\na = "x,y#z"  # one\n   # two\nb = 1\n[other]\nc = 2\n'
    assert [key.name for key in configuration.read_keys(text)] == ["a", "b"]
    first = next(iter(configuration.read_keys(text)))
    assert (first.group, first.default, first.comment) == ("Data", '"x,y#z"', "one two")
    for app in configuration.apps():
        text = read(app / "pyproject.toml")
        keys = list(configuration.read_keys(text))
        assert {key.name: loads(f"x = {key.default}")["x"] for key in keys} == loads(text)["tool"]["flwr"]["app"]["config"]
        assert all(key.comment for key in keys), [key.name for key in keys if not key.comment]


def test_the_ledger_page_shows_a_row():
    (shown,) = re.findall(r"example = (\{.*?\n\})", read(DOCS / "reference" / "ledger.md"), re.DOTALL)
    assert set(json.loads(shown.replace(",\n}", "\n}"))) == set(asdict(Row(**json.loads(shown.replace(",\n}", "\n}")))))


def test_every_study_is_described():
    text = read(DOCS / "guides" / "studies.md")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == set(STUDIES)


def keys_of(page, heading):
    """List the keys in the first column of the table below a heading."""
    section = re.split(r"^#+ ", page.split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}


def test_the_page_of_a_runs_folder_names_its_keys(tmp_path):
    page = read(DOCS / "reference" / "run-folder.md")
    folder = make_run(tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    of_any_strategy = {"strategy", "codec", "accuracy"}
    assert keys_of(page, "summary.json") == set(summary) | of_any_strategy | {"error"}
    duke = summary["targets"]["duke"]
    assert keys_of(page, "targets") == set(duke)
    assert keys_of(page, "results") == set(duke["results"])
    assert keys_of(page, "rounds of a target") == set(duke["rounds"][0])
    assert keys_of(page, "rounds") == set(summary["rounds"][0])
    assert load(folder).histories[0].rounds[1].committee.keys() <= set(re.findall(r"`(\w+)`", page))
    assert keys_of(page, "state.json") == {field.name for field in fields(State)}
    assert keys_of(page, "ranking.json") == set(json.loads((folder / "ranking.json").read_text())["duke"][0])
