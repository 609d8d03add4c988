"""Several runs on the same axes."""

import json

from rich.console import Console

from fedretina.report import compare, to_png
from sample_run import make_run


def test_each_run_has_a_row_and_a_curve(run, tmp_path):
    other = make_run(tmp_path / "other", targets={"duke": 1.0, "hall": 2.0})
    grid, picture = compare([run, other])
    (axes,) = picture.axes
    assert len(axes.lines) == 3
    xs = axes.lines[0].get_xdata()
    summary = json.loads((run / "summary.json").read_text())
    assert xs[-1] == summary["wire_bytes_down"] + summary["wire_bytes_up"]
    assert {text.get_text() for text in axes.texts} == {f"61.2 {run.name} duke", "62.2 other duke", "63.2 other hall"}
    console = Console(width=200, record=True, quiet=False, file=(tmp_path / "out").open("w"))
    console.print(grid)
    text = console.export_text()
    assert "63.2 %" in text
    assert "other hall" in text
    assert to_png(picture).startswith(b"\x89PNG")


def test_a_run_without_rounds_has_a_row_only(run, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_text("{}")
    grid, picture = compare([empty, run])
    assert grid.row_count == 2
    assert [len(line.get_xdata()) for line in picture.axes[0].lines] == [0, 5]
