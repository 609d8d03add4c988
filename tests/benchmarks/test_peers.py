"""The benchmark of several peers: its cells, and its page from stored ones."""

from dataclasses import replace

import pytest
from peers import every_target
from peers.cells import (
    BODY,
    COMPARED,
    DIGITS,
    EVERY_PERSON,
    OMNIGLOT,
    ONE,
    OTHERS,
    PEDESTRIANS,
    SELF,
    SHARES,
    TURNS,
    bases,
    cells,
    of_count,
    target_cells,
    unlimited,
)  # fmt: skip
from peers.command import make_task
from peers.numbers import Difference, Scores, correlations
from peers.page import write

from fedretina.study import METHODS, Store


@pytest.mark.parametrize("data", [PEDESTRIANS, DIGITS], ids=["pedestrians", "digits"])
def test_every_cell_can_be_measured(data):
    found = list(cells(data, [0]))
    assert {setting.method for setting in found} <= set(METHODS)
    assert {setting.labelled for setting in found} == set(SHARES)
    for setting in found:
        assert setting.training().epochs == 20
        assert setting.target not in setting.sources


def test_every_target_of_digits_has_its_data():
    for base in bases(DIGITS, [1]):
        task = make_task(base)
        assert len(task.splits(base.target).labels) == round(180 * base.labelled)
        assert all(len(task.splits(source).labels) == 180 for source in base.sources)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((2.0, 2.5, 3.0), "better"), ((-2.0, -2.5), "worse"), ((-1.0, 1.5), "not shown"), ((4.0,), "one pair")],
)
def test_a_difference_is_shown_beyond_two_standard_errors(values, verdict):
    assert Difference(values).verdict == verdict


def test_differences_are_paired(tmp_path):
    store, (base, other, *_) = Store(tmp_path), bases(DIGITS, [0])
    for setting, score in ((replace(base, method=SELF), 70.0), (replace(base, method=TURNS), 75.0)):
        store.save(setting, {"accuracy": score})
    store.save(replace(other, method=TURNS), {"accuracy": 10.0})  # without its pair
    scores = Scores(store, "accuracy")
    difference = scores.difference([base, other], lambda it: replace(it, method=TURNS), lambda it: replace(it, method=SELF))
    assert difference.values == (5.0,)
    assert scores.difference([other], unlimited, unlimited) is None


def test_correlations_are_rank_correlations():
    facts = [(1.0, 1.0), (2.0, 2.0), (4.0, 3.0), (3.0, 4.0)]
    assert correlations(facts, ["risk"]) == {"risk": pytest.approx(4 / 6)}


def test_the_page_shows_what_is_stored_and_what_was_missed(tmp_path):
    store = Store(tmp_path)
    for data in (PEDESTRIANS, DIGITS):
        for base in bases(data, [0, 1]):
            risks = {f"risk.{source}": 0.1 * (i + 1) for i, source in enumerate(base.sources)}
            facts = {"transfers": 53.0, "megabytes": 1.0, "risk.own": 0.3, "turns.sources": 2.0, **risks}
            held_out = {"committee.first": 50.0, "committee.best": 60.0, "committee.accuracy": 58.0}
            for method, gain in ((SELF, 0.0), (ONE, 1.0), (BODY, 2.0), (TURNS, 4.0)):
                score = 60.0 + gain + base.seed * (1 + 0.2 * gain)
                store.save(replace(base, method=method), {data.metric: score, **facts, **held_out})
            store.save(unlimited(base), {data.metric: 59.0 + base.seed})
    page = tmp_path / "peers.md"
    text = write(store, [0, 1], [0, 1], page=page)
    assert page.read_text() == text
    assert page.with_suffix(".png").stat().st_size > 10_000
    assert "| 30 % | B: joint body, co-training in turn | 64.9 ± 0.9 | +4.4 ± 0.4 | +3.3 ± 0.3 | 2 | 53 | 1.00 |" in text
    assert "B over self-training +4.4 ± 0.4 (better)" in text
    assert text.count("| met |") == 16
    assert "| 10 % | left | 0.10 ± 0.00 | 0.30 ± 0.00 | 2.0 ± 0.0 | -1.0 ± 0.0 |  | +4.4 ± 0.4 |" in text
    assert "| 2.0 |" in text  # the largest fall of the held-out accuracy


def test_every_domain_is_a_target_with_three_sources():
    for data, count in ((EVERY_PERSON, 4), (OMNIGLOT, 8)):
        found = list(target_cells(data, [0, 1]))
        assert len(found) == len(set(found)) == count * len(SHARES) * (2 * len(COMPARED) + len(OTHERS) + 2)
        assert {setting.method for setting in found} <= set(METHODS)
        assert {len({*setting.sources} - {setting.target}) for setting in found} == {2, 3}
        assert {setting.target for setting in found} == {source for setting in found for source in setting.sources}
    assert set(PEDESTRIANS.targets) <= set(EVERY_PERSON.targets)  # their cells are the same


def test_distances_of_sketches_are_stored_by_target(tmp_path):
    data, store = replace(DIGITS, targets=DIGITS.targets[:2]), Store(tmp_path)
    every_target.measure_distances(store, data, make_task)
    found = every_target.distances(store, "digits").entry("upright").value
    assert set(found) == set(data.targets[1].sources)
    assert found["faint"] < found["upside-down"]
    every_target.measure_distances(store, data, lambda setting: pytest.fail("measured again"))


def test_the_page_of_targets_takes_the_mean_over_targets_first(tmp_path):
    store = Store(tmp_path)
    for data in (EVERY_PERSON, OMNIGLOT):
        for place, base in enumerate(bases(data, [0, 1])):
            gain = 2.0 * (base.target == data.targets[0].name)
            for method, score in ((SELF, 50.0), (ONE, 51.0), (TURNS, 53.0 + gain + base.seed)):
                if data is EVERY_PERSON or place:
                    risks = dict.fromkeys(map("risk.{}".format, base.sources), 0.5 - 0.01 * gain)
                    store.save(replace(base, method=method), {"mAP": score, **(risks if method == TURNS else {})})
            store.save(replace(base, method="soup"), {"mAP": 52.0, "transfers": 6.0})
            more = -2.0 if base.target == "duke" else 1.0
            store.save(of_count(base, TURNS, 2), {"mAP": 53.0 + base.seed + gain - more})
    text = every_target.write(store, {EVERY_PERSON.name: (0, 1), OMNIGLOT.name: (0, 1, 2)}, page=tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == text
    assert "| 30 % | cuhk03 | 50.0 ± 0.0 | 51.0 ± 0.0 | 55.5 ± 0.5 | +5.5 ± 0.5 | +4.5 ± 0.5 | 2 |" in text
    assert "| 30 % | all targets |  |  |  | +4.0 ± 0.5 | +3.0 ± 0.5 |  |" in text
    assert "| 30 % | balinese | 50.0 | 51.0 | 56.0 | +6.0 | +5.0 | 1 |" in text
    assert "| 30 % | soup of students, one from each source | 52.0 ± 0.0 | 54.0 ± 0.4 | +2.0 ± 0.4 | 6 | 8 |" in text
    assert "| 30 % | 53.8 ± 0.5 | 54.0 ± 0.4 | +0.2 ± 0.5 | not shown | duke | 8 |" in text
    assert text.count("| level: the smallest R_m | -0.") == 2  # the smaller, the more is gained
    assert "distance of sketches to" not in text  # not measured
    assert "| rendered pedestrians, 10 % | no cell under 0 | 0 of 8 are under 0 | met |" in text
