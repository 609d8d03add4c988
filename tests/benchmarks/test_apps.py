"""The apps run plain and over DoM, and the checks find what a carrier breaks."""

import json
from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, RecordDict

from apps import cells, learning, page, picture, tables
from apps.app import Result
from apps.compare import relative_error
from apps.examples import APPS
from apps.measure import DOM, PLAIN, Arm, excess, measure
from fedretina.flower import DomGrid

ROUNDS = 2
TINY = ("analytics", "vertical", "logistic")


class DamagingGrid(DomGrid):
    """Changes the last bit of some floats, in one direction: what no check may overlook."""

    direction = "up"

    def push_messages(self, messages):
        messages = list(messages)
        for message in messages if self.direction == "down" else []:
            message.content = damaged(message.content)
        return super().push_messages(messages)

    def pull_messages(self, message_ids):
        replies = list(super().pull_messages(message_ids))
        for reply in replies if self.direction == "up" else []:
            reply.content = damaged(reply.content)
        return replies


class DamagingDownGrid(DamagingGrid):
    direction = "down"


class ConfusingGrid(DamagingGrid):
    """Gives arrays in another order."""

    def pull_messages(self, message_ids):
        replies = list(DomGrid.pull_messages(self, message_ids))
        for reply in replies:
            records = {name: ArrayRecord(dict(reversed(r.items()))) for name, r in reply.content.array_records.items()}
            reply.content = RecordDict({**reply.content, **records})
        return replies


class LosingGrid(DamagingGrid):
    """Loses a record of each reply."""

    def pull_messages(self, message_ids):
        replies = list(DomGrid.pull_messages(self, message_ids))
        for reply in replies:
            reply.content = RecordDict({name: record for name, record in reply.content.items() if name != "numbers"})
        return replies


def damaged(content):
    def changed(array):
        value = np.array(array.numpy())
        return Array(np.nextafter(value, np.inf).astype(value.dtype) if value.dtype.kind == "f" else value)

    records = {name: ArrayRecord({k: changed(a) for k, a in r.items()}) for name, r in content.array_records.items()}
    return RecordDict({**content, **records})


def arm_of(grid):
    return Arm(PLAIN.mods, lambda inner, folder: grid(inner, None, store=folder))


def tiny(name, arm, seed=0):
    return measure(APPS[name], replace(APPS[name].setting(seed), rounds=ROUNDS), arm)


@pytest.mark.parametrize("name", TINY)
def test_plain_flower_beside_itself_differs_in_nothing(name):
    cell = tiny(name, PLAIN)
    assert cell["same_result"]
    assert tables.is_identical(cell)
    assert cell["dom"]["checks"]["error"] == 0
    assert cell["dom"]["checks"]["exact"] > 10
    assert cell["excess"] == {"down": 0, "up": 0}
    assert cell["plain"]["bytes"] == cell["dom"]["bytes"]


@pytest.mark.parametrize("name", TINY)
def test_dom_runs_and_every_round_is_measured(name):
    cell = tiny(name, DOM)
    assert cell["error"] == ""
    assert cell["dom"]["errors"] == []
    for arm in ("plain", "dom"):
        assert len(cell[arm]["metrics"]) == ROUNDS
        assert set(cell[arm]["bytes_by_round"]) == {"1", "2"}
        assert cell[arm]["seconds"] > 0
    assert tables.is_identical(cell)
    assert max(cell["excess"].values()) <= 200
    assert json.loads(json.dumps(cell)) == cell


@pytest.mark.parametrize(("name", "grid", "place"), [
    ("analytics", DamagingGrid, "up query/survival"),
    ("analytics", DamagingDownGrid, "down query/edges"),
    ("analytics", ConfusingGrid, "up query/survival: names or their order"),
    ("vertical", DamagingGrid, "up query.generate_embeddings/embedding"),
    ("vertical", DamagingDownGrid, "down train.apply_gradients/gradients"),
])  # fmt: skip
def test_a_carrier_that_changes_anything_is_found(name, grid, place):
    cell = tiny(name, arm_of(grid))
    assert place in cell["dom"]["checks"]["differing"]
    assert not tables.is_identical(cell)
    assert "**no**" in tables.main_table({name: [cell | {"code": ""}]})
    assert f"`{place}`" in tables.details_table({name: [cell]})


def test_loss_that_is_allowed_is_no_difference_but_is_shown():
    cell = tiny("logistic", arm_of(DamagingDownGrid))
    checks = cell["dom"]["checks"]
    assert tables.is_identical(cell)
    assert 0 < checks["error"] < 1e-12 or checks["error"] == 1  # of zeros, whatever comes is a change of all
    assert checks["first_error"] > 0
    assert "**yes**, by" in tables.details_table({"logistic": [cell]})


def test_what_is_lost_is_found_though_the_run_breaks():
    cell = tiny("analytics", arm_of(LosingGrid))
    assert cell["dom"] is None
    assert "numbers" in cell["error"]
    assert "**DoM's run failed**, 1 of 1" in tables.main_table({"analytics": [cell]})
    assert "numbers" in tables.details_table({"analytics": [cell]})


def test_another_result_is_found_where_it_must_be_the_same():
    cell = tiny("analytics", PLAIN) | {"same_result": False}
    assert not tables.is_identical(cell)
    assert "**no**, the result" in tables.main_table({"analytics": [cell]})


def test_a_message_that_is_larger_is_found():
    plain = {"down": {(1, "train"): [100, 100]}, "up": {(1, "train"): [50, 50]}}
    other = {"down": {(1, "train"): [20, 130]}, "up": {(1, "train"): [10, 10, 70]}}
    assert excess(plain, other) == {"down": 30, "up": 70}


def test_a_ledger_that_counts_wrong_is_found():
    cell = tiny("analytics", PLAIN)
    assert cell["dom"]["bytes"] == cell["dom"]["wire"]
    cell["dom"]["bytes"] = cell["dom"]["bytes"] | {"down": 7}
    assert "bytes down in the ledger of DoM: 7 instead of" in tables.details_table({"analytics": [cell]})


def test_relative_errors():
    zeros = np.zeros(2)
    assert (relative_error(zeros, zeros), relative_error(zeros, zeros + 1)) == (0, 1)
    assert relative_error(np.ones(2), np.array([1, np.nan])) == np.inf


@pytest.fixture
def few(monkeypatch):
    """Stand in for an app, and count its runs."""
    runs = []

    def server(grid, setting):
        runs.append(setting.seed)
        learning.ask(grid, grid.get_node_ids(), {"edges": learning.record_of({"edges": np.arange(3.0)})}, 1, "query")
        return Result([float(number + setting.seed) for number in range(setting.rounds)], {"w": np.ones(3)})

    monkeypatch.setattr(cells, "warm_up", lambda app: None)
    monkeypatch.setattr(cells, "measure", lambda app, setting: measure(app, setting, PLAIN))
    return replace(APPS["analytics"], server=server), runs


def test_a_pair_is_measured_once_for_the_same_code(few, tmp_path, monkeypatch):
    app, runs = few
    first = list(cells.measure_all(tmp_path, [app], [0, 1], quick=True))
    assert list(cells.measure_all(tmp_path, [app], None, quick=True)) == first[:1]
    assert runs == [0, 0, 1, 1]
    assert cells.read_all(tmp_path)["analytics"] == first
    (tmp_path / "analytics-0.json").write_text("{")
    assert next(iter(cells.measure_all(tmp_path, [app], [0], quick=True)))["plain"]["metrics"] == [0, 1, 2, 3]
    monkeypatch.setattr(cells, "code", lambda: "other")
    assert cells.read_all(tmp_path) == {}
    list(cells.measure_all(tmp_path, [app], [1], quick=True))
    assert runs == [0, 0, 1, 1, 0, 0, 1, 1]


def test_the_page_takes_up_what_is_there(few, tmp_path, monkeypatch):
    app, _ = few
    monkeypatch.setattr(page, "DOCS", tmp_path / "docs")
    with pytest.raises(SystemExit, match="holds no results"):
        page.write(tmp_path)
    list(cells.measure_all(tmp_path, [app], [0, 1], quick=True))
    page.write(tmp_path)
    told = (tmp_path / "docs" / "apps.md").read_text()
    assert "It does in 1 of 1." in told
    assert "- 4 rounds, 6 nodes, seeds 0, 1: analytics" in told
    assert (tmp_path / "docs" / "images" / "apps.png").stat().st_size > 1000
    measured = cells.read_all(tmp_path)
    assert picture.picture(measured) == picture.picture(measured)
