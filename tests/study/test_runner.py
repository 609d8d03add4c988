import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from digits import Digits
from fedretina.study import Cell, Grid, Store, Study, StudyRunner, run
from fedretina.study.runner import _bars


@pytest.fixture
def study(base):
    short = replace(base, epochs=2)
    rows = {"alone": short, "all labels": replace(short, method="all-labels")}
    return Study("toy", "Toy", "?", (Grid("t", "", {(row, "x"): Cell(s, ("accuracy",)) for row, s in rows.items()}),))


def go(study, folder, seeds=(0,)):
    console = Console(file=io.StringIO(), width=200)
    runner = StudyRunner(lambda setting: Digits(targets=(setting.target,)), Store(folder), "cpu")
    page = run(study, runner, seeds, console=console, command="fedretina study toy", data="digits")
    return page, console.file.getvalue()


def test_page_numbers_and_plot_stand_side_by_side(study, tmp_path):
    page, printed = go(study, tmp_path)
    assert page == tmp_path / "toy.md"
    assert "| all labels |" in page.read_text()
    assert len(json.loads(page.with_suffix(".json").read_text())["grids"][0]["cells"]) == 2
    assert page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "   1/2  alone" in printed
    assert "accuracy" in printed


def test_a_second_run_measures_only_what_is_new_and_the_table_is_the_same(study, tmp_path):
    first = go(study, tmp_path)[0].read_text()
    page, printed = go(study, tmp_path)
    assert page.read_text() == first
    assert printed.count("(stored)") == 2
    printed = go(study, tmp_path, seeds=(0, 1))[1]
    assert printed.count("(stored)") == 2
    assert "   4/4" in printed


def test_bars_only_on_terminals():
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal)
        with _bars(console, 2) as (advance, on_progress):
            on_progress("alone", 1, 2)
            advance()
        assert bool(console.file.getvalue()) == terminal
