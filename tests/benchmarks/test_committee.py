"""The committee's page: what is paired, what is averaged, and which cells stand in one table."""

from dataclasses import asdict

import committee
import pytest

from fedretina.study import Setting, Store

BASE = Setting(method="alone", target="duke", sources=("cuhk03",), height=8, width=8)


@pytest.fixture
def state(tmp_path):
    """A function that stores a cell."""

    def store(method, precision, data="embedded", **differs):
        metrics = {"mAP": precision, "rank1": 50.0, "minutes": 1.0}
        Store(tmp_path / data).save(Setting(**asdict(BASE) | {"method": method} | differs), metrics)
        return tmp_path

    return store


def test_gains_are_paired_by_target_and_seed(state):
    state("finetune", 40.0), state("committee", 43.0)
    state("finetune", 10.0, seed=1), state("committee", 15.0, seed=1)
    rows = committee.rows_of(state("committee", 99.0, seed=2))  # without its baseline
    assert committee.gains(rows) == {("committee", 0.3): [3.0, 5.0]}
    assert "| 30 % | committee: all sources, own | +4.0 ± 1.0 | +3.0 |  | 2 |" in committee.gain_table(rows)


def test_what_more_sources_add_is_paired_with_the_committee_of_fewer(state):
    state("self-start", 40.0), state("committee-best", 41.0), state("self-start", 50.0, seed=1)
    table = committee.comparison_table(committee.rows_of(state("committee-best", 54.0, seed=1)))
    assert "| committee: best source, own | self-training, from the best source | +2.5 ± 1.5 (2) |" in table


def test_what_another_release_measured_is_left_out(state, monkeypatch):
    with monkeypatch.context() as other:
        other.setattr("fedretina.__version__", "0.0.1")
        state("alone", 20.0)
    assert [row.precision for row in committee.rows_of(state("alone", 24.0))] == [24.0]


def test_a_cell_is_the_mean_over_the_seeds_with_their_spread(state):
    state("alone", 20.0), state("alone", 24.0, seed=1)
    table = committee.table(committee.rows_of(state("alone", 9.0, target="msmt17")))
    assert "| target alone | 22.0 ± 2.8 / 50.0 | 9.0 / 50.0 |" in table


def test_every_data_set_has_a_section_and_cells_of_other_epochs_another(state, tmp_path):
    state("alone", 20.0, "one"), state("finetune", 30.0, "one"), state("alone", 21.0, "two")
    folder = state("alone", 25.0, "two", epochs=5)
    committee.write(folder, tmp_path / "page.md")
    titles = [line for line in (tmp_path / "page.md").read_text().splitlines() if line.startswith("## ")]
    size = "8 x 8 pixels, network `small`"
    assert titles == [f"## one: {size}, 30 epochs", f"## two: {size}, 30 epochs", f"## two: {size}, 5 epochs"]
    images = {path.name: path.stat().st_size for path in (tmp_path / "images").iterdir()}
    assert sorted(images) == ["committee-one.png", "committee-two-2.png", "committee-two.png"]
    assert images["committee-one.png"] > 5000
