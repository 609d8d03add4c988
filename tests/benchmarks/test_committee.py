"""The committee's page: what is paired, what is averaged, and what must not stand in one table."""

import argparse
import json

import committee
import pytest


def row(method, precision, *, target="duke", seed=0, labelled=0.3):
    kept = {"target": target, "labelled": labelled, "seed": seed, "method": method, "mAP": precision, "rank1": 50.0}
    return kept | {"minutes": 1.0}


def options(folder, **others):
    return argparse.Namespace(
        **{"data_root": str(folder), "state": folder / "state", "epochs": 30, "size": "8x8", "model": "small"} | others
    )


def test_gains_are_paired_by_target_and_seed():
    rows = [row("finetune", 40.0), row("three", 43.0), row("finetune", 10.0, seed=1), row("three", 15.0, seed=1)]
    rows += [row("three", 99.0, seed=2)]  # without its yardstick
    assert list(committee.gains(rows)) == ["- 30 % labels, committee: three peers, own: +4.0 ± 1.0 (2 cells)"]


def test_a_cell_is_the_mean_over_the_seeds_with_their_spread():
    table = committee.table([row("alone", 20.0), row("alone", 24.0, seed=1), row("alone", 9.0, target="cuhk03")])
    assert "| target alone | 22.0 ± 2.8 / 50.0 | 9.0 / 50.0 |" in table


def test_the_page_shows_every_data_set_that_is_kept(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        committee.Bench(options(tmp_path / name, state=tmp_path / "state"))
        (tmp_path / "state" / name / "a.json").write_text(json.dumps(row("alone", 20.0)))
    page = committee.page(tmp_path / "state")
    assert page.index("## one") < page.index("## two")


def test_a_state_measured_otherwise_is_refused(tmp_path):
    committee.Bench(options(tmp_path))
    with pytest.raises(SystemExit, match="'epochs': 30"):
        committee.Bench(options(tmp_path, epochs=5))
