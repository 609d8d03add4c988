"""Cells: kept with what repeats them, read again, measured by processes."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from fedretina.cli.bandwidth import named_task
from fedretina.study.bandwidth import ROWS, Cell, Plan, Variant, measure, write_rows
from fedretina.study.bandwidth.cells import _code

TASK = named_task("digits")
PLAN = Plan(rounds=2, local_steps=2, clients=2)
CELLS = [Cell(TASK, Variant.of(codec, {}), PLAN, seed) for seed in (0, 1) for codec in ("none", "stc")]


def measured(cells, folder, jobs=1):
    seen = []
    found = measure(cells, folder, jobs=jobs, on_cell=lambda one, stored: seen.append((one.cell.name, stored)))
    return found, seen


def test_stored_cells_are_read_and_interrupted_sweeps_go_on(tmp_path):
    first, seen = measured(CELLS[:2], tmp_path)
    assert [stored for _, stored in seen] == [False, False]
    found, seen = measured(CELLS, tmp_path)
    assert sorted(stored for _, stored in seen) == [False, False, True, True]
    assert [one.cell for one in found] == CELLS
    assert found[0].rows == first[0].rows


def test_without_training_what_is_missing_is_left_out(tmp_path):
    measured(CELLS[:2], tmp_path)
    found = measure(CELLS, tmp_path, jobs=1, on_cell=lambda *_: None, train=False)
    assert [one.cell for one in found] == CELLS[:2]


def test_our_code_changes_our_cells_and_no_peers(monkeypatch):
    cells = [replace(CELLS[0], variant=Variant.of(codec, {})) for codec in ("dom", "stc")]
    before = [cell.key for cell in cells]
    monkeypatch.setattr("fedretina.study.bandwidth.cells._DOM", Path(__file__))
    _code.cache_clear()
    after = [cell.key for cell in cells]
    _code.cache_clear()
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True]


def test_a_file_repeats_its_cell(tmp_path):
    (one,), _ = measured(CELLS[1:2], tmp_path)
    kept = json.loads((tmp_path / "cells" / f"{one.cell.name}.json").read_text())
    recipe = kept["recipe"]
    plan = Plan(**{name: recipe[name] for name in ("rounds", "local_steps", "clients", "outer")})
    again = Cell(TASK, Variant.of(recipe["codec"], recipe["settings"]), plan, recipe["seed"])
    assert again == CELLS[1]
    assert {"torch", "python"} <= kept["versions"].keys()
    (repeated,), _ = measured([again], tmp_path / "other")
    strip = partial(replace, client_seconds=0, server_seconds=0)
    assert [strip(row) for row in repeated.rows] == [strip(row) for row in one.rows]


def test_another_plan_seed_setting_source_or_code_is_another_cell(tmp_path, monkeypatch):
    cell = CELLS[1]
    others = [
        replace(cell, plan=replace(PLAN, local_steps=3)),
        replace(cell, seed=5),
        replace(cell, variant=Variant.of("stc", {"share": 0.5})),
        replace(cell, task=replace(TASK, source="another text")),
    ]
    assert len({one.key for one in (cell, *others)}) == len({one.name for one in (cell, *others)}) == 5
    measured([cell], tmp_path)
    monkeypatch.setattr("fedretina.study.bandwidth.cells._code", lambda codec: "other code")
    assert measured([cell], tmp_path)[1] == [(cell.name, False)]


def test_rows_are_lines_of_json_with_bytes_scores_and_seconds(tmp_path):
    found, _ = measured(CELLS, tmp_path)
    write_rows([*found, *found], tmp_path)
    rows = [json.loads(line) for line in (tmp_path / ROWS).read_text().splitlines()]
    assert len(rows) == 4 * 3
    last = rows[-1]
    assert {"task", "codec", "setting", "seed", "round", "bytes_up", "bytes_down", "score", "seconds"} <= last.keys()
    assert last["bytes_total"] == sum(row["bytes_up"] + row["bytes_down"] for row in rows[-3:])
    assert last["seconds"] > 0
    pandas = pytest.importorskip("pandas")
    assert len(pandas.read_json(tmp_path / ROWS, lines=True)) == 12


def test_processes_measure_the_same(tmp_path):
    alone, _ = measured(CELLS, tmp_path / "one")
    together, _ = measured(CELLS, tmp_path / "two", jobs=2)
    assert [[row.score for row in one.rows] for one in alone] == [[row.score for row in one.rows] for one in together]
