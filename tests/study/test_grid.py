from dataclasses import replace

from fedretina.study import Cell, Grid, Study


def test_what_studies_share_is_measured_once_and_seed_by_seed(base):
    other = replace(base, method="finetune")
    points = {("a", "x"): Cell(base), ("b", "x"): Cell(other), ("c", "x"): Cell(base, ("rank1",))}
    study = Study("s", "S", "?", (Grid("t", "", points), Grid("u", "", {("a", "x"): Cell(base)})))
    assert study.settings([0, 4]) == [base, other, replace(base, seed=4), replace(other, seed=4)]


def test_rows_and_columns_keep_their_order(base):
    grid = Grid("t", "", {(row, column): Cell(base) for row in "ba" for column in "yx"})
    assert (grid.rows, grid.columns) == (["b", "a"], ["y", "x"])


def test_a_seed_that_is_not_measured_is_left_out(base):
    results = {base: {"mAP": 1.0, "rank1": 2.0, "minutes": 0.1}}
    assert Cell(base).values(results, [0, 1]) == [(1.0, 2.0)]
