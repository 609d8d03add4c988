from dataclasses import replace

import pytest

from fedretina.report.style import to_png
from fedretina.study import Cell, Grid, Study
from fedretina.study.plot import Measured, plot


@pytest.fixture
def lines(base):
    return {
        (row, f"{gamma:g}"): Cell(replace(base, method=row, gamma=gamma), paper=(40.0,) if row == "reuse" else ())
        for row in ("alone", "reuse")
        for gamma in (0.5, 1.0, 8.0)
    }


def results_of(points):
    return {
        replace(p.setting, seed=s): {"mAP": 30 + s + p.setting.gamma, "rank1": 1.0} for p in points.values() for s in (0, 1)
    }


def draw(grid, results, **how):
    return plot(Study("s", "S", "?", (grid,)), results, [0, 1], **{"published": False, **how})


def test_lines_have_a_point_a_column_and_error_bars(lines):
    grid, results = Grid("t", "", lines, kind="lines", scale="log", axis="gamma"), results_of(lines)
    (axes,) = draw(grid, results).axes
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "1", "8"]
    drawn = [line for line in axes.lines if line.get_marker() in "os"]
    assert [list(line.get_ydata()) for line in drawn] == [[31.0, 31.5, 38.5]] * 2
    assert len(draw(grid, results, published=True).axes[0].lines) == len(axes.lines) + 1


def test_columns_that_are_no_numbers_have_no_point_and_descending_ones_run_so(base):
    points = {("a", column): Cell(replace(base, gamma=float(i))) for i, column in enumerate(["as it was", "7", "3"])}
    (axes,) = draw(Grid("t", "", points, kind="lines"), results_of(points)).axes
    assert list(axes.lines[0].get_xdata()) == [7.0, 3.0]
    assert axes.xaxis_inverted()


def test_bars_are_named_and_in_order(lines):
    figure = draw(Grid("t", "", lines), results_of(lines))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["alone", "reuse"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0.5", "1", "8"]
    assert "38.5" in {text.get_text() for text in axes.texts}
    assert to_png(figure).startswith(b"\x89PNG")


def test_what_is_not_measured_is_left_out(lines, base):
    results = {base.__class__(**{**vars(base), "gamma": 0.5}): {"mAP": 3.0, "rank1": 1.0}}
    measured = Measured.of(Grid("t", "", lines), results, [0, 1], published=False)
    assert measured.ours == {("alone", "0.5"): (3.0, 0.0)}
    assert len(draw(Grid("t", "", lines, kind="lines"), results).axes) == 1
    assert len(draw(Grid("t", "", lines), {}).axes) == 1
