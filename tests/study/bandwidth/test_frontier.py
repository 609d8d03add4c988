"""What the rows say, against numbers computed by hand."""

import pytest

from fedretina.study.bandwidth import results

from .conftest import measurement


def by_codec(task):
    return {line.codec: line for line in task.best}


def test_bytes_to_the_goal_and_best_settings(cells):
    (task,) = results(cells)
    assert task.goals == {0: 99}
    best = by_codec(task)
    assert task.bytes_to_goal(best["none"]) == 3 * 8000
    assert task.bytes_to_goal(best["dom"]) == 2 * 40
    assert best["stc"].variant.label == "share=0.01"
    assert task.bytes_to_goal(best["stc"]) == 3 * 134
    assert task.bytes_to_goal(best["sign"]) is None
    assert task.seeds_at_goal(best["sign"]) == 0


def test_a_setting_that_keeps_the_goal_is_before_one_that_loses_it_again(cells):
    touches = [measurement("stc", [10, 99, 99, 98], 1, setting={"share": 0.02})]
    (task,) = results([*touches, *cells])
    assert by_codec(task)["stc"].variant.label == "share=0.01"
    (task,) = results([*touches, *(one for one in cells if one.cell.variant.codec != "stc")])
    assert task.bytes_to_goal(by_codec(task)["stc"]) == 2


def test_a_loss_must_fall_by_99_percent():
    (task,) = results([measurement("none", [8, 4, 3], 10, lower=True), measurement("stc", [8, 3.06, 3.05], 1, lower=True)])
    assert task.goals[0] == pytest.approx(3.05)
    assert task.bytes_to_goal(by_codec(task)["stc"]) == 4


def test_every_seed_must_reach_its_own_goal():
    rows = [measurement("none", [0, 100], 10, seed=0), measurement("none", [0, 50], 10, seed=1)]
    rows += [measurement("stc", [0, 60, 99], 1, seed=0), measurement("stc", [0, 49.5, 50], 2, seed=1)]
    (task,) = results(rows)
    assert task.bytes_to_goal(by_codec(task)["stc"]) == (4 + 4) / 2
    rows[-1] = measurement("stc", [0, 49, 49], 2, seed=1)
    (task,) = results(rows)
    assert task.bytes_to_goal(by_codec(task)["stc"]) is None
    assert task.seeds_at_goal(by_codec(task)["stc"]) == 1


def test_curves_are_means_over_seeds():
    (task,) = results([measurement("stc", [0, 60], 10, seed=0), measurement("stc", [20, 80], 30, seed=1)])
    assert task.lines[0].curve == ([0, 40], [10, 70])
    assert task.reference is None
    assert task.bytes_to_goal(task.lines[0]) is None


def test_the_pareto_front_has_what_nobody_beats(cells):
    (task,) = results(cells)
    assert [line.codec for line in task.pareto] == ["dom"]
    (task,) = results([*cells, measurement("nf4", [10, 100, 101], 500), measurement("topk", [0, 5], 1)])
    assert [line.codec for line in task.pareto] == ["topk", "dom", "nf4"]


def test_time_is_compute_and_a_clients_share_of_the_bytes_on_its_link(cells):
    (task,) = results(cells)
    line = by_codec(task)["none"]
    assert task.seconds_to_goal(line, 1) == pytest.approx(3 * (1 + 8000 / 4 * 8 / 1e6))
    assert task.seconds_to_goal(line, 1000) == pytest.approx(3, abs=0.01)
    assert task.seconds_to_goal(by_codec(task)["sign"], 1) is None


def test_bits_a_weight(cells):
    (task,) = results(cells)
    assert by_codec(task)["dom"].bits_per_weight == pytest.approx(8 * 120 / (2 * 4 * 3 * 1000))
