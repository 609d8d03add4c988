"""A study is checked whole before its first cell trains."""

import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from digits import Digits
from fedretina.errors import BadArgument
from fedretina.study import Store, StudyRunner
from fedretina.study.checks import check_cells
from fedretina.study.grid import Cell, Grid, Study


class OneClass(Digits):
    def splits(self, domain):
        found = super().splits(domain)
        return replace(found, labels=torch.zeros_like(found.labels)) if domain == self.broken else found

    broken = "upside-down"


def tasks(setting):
    return OneClass(targets=(setting.target,))


def test_a_fault_in_the_last_cell_is_told_before_the_first_one_trains(tmp_path, base, monkeypatch):
    sound, broken = replace(base, sources=("upright",)), base
    cells = {("row", str(i)): Cell(setting, metrics=("accuracy",)) for i, setting in enumerate((sound, broken))}
    study = Study("s", "S", "?", (Grid("t", "", cells),))
    monkeypatch.setattr(
        sys.modules["fedretina.study.runner"], "measure", lambda *_, **__: pytest.fail("a cell was measured")
    )
    runner = StudyRunner(tasks, Store(tmp_path), "cpu")
    said = r"'upside-down' are of 1 class.*\(in the cell of labelled = 0\.3, loss = 'softmax', seed 5\)"
    with pytest.raises(BadArgument, match=said):
        runner.measure(study, [5], Console(quiet=True))
    assert not list((tmp_path / "cells").iterdir())


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        ({"method": "magic"}, "method = 'magic': allowed are"),
        ({"sources": ()}, "at least one source"),
        ({"sources": ("own",)}, "sources = 'own': the committee calls the target so"),
        ({"lr": -1.0}, "lr = -1.0: a positive number"),
        ({"epochs": 0}, "local-epochs = 0"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, base, differs, said):
    with pytest.raises(BadArgument, match=said):
        check_cells([base, replace(base, **differs)], tasks, Store(tmp_path), device="cpu")


def test_cells_that_are_kept_are_not_checked_again(tmp_path, base):
    store = Store(tmp_path)
    store.save(base, {"accuracy": 3.0, "minutes": 0.1})
    check_cells([base], tasks, store, device="cpu")


def test_each_domain_is_opened_once_for_cells_that_share_it(tmp_path, base):
    opened = []

    class Counting(Digits):
        def splits(self, domain):
            opened.append(domain)
            return super().splits(domain)

    settings = [replace(base, method=method, seed=seed) for method in ("alone", "reuse") for seed in (0, 1)]
    check_cells(settings, lambda setting: Counting(targets=(setting.target,)), Store(tmp_path), device="cpu")
    assert sorted(opened) == ["faint", "faint", "upright", "upside-down"]


def test_a_full_disk(tmp_path, base, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10))
    with pytest.raises(BadArgument, match="the sources' models take"):
        check_cells([replace(base, sources=("upright",))], tasks, Store(tmp_path), device="cpu")


def test_damaged_models_and_cells_are_measured_again(tmp_path, base, caplog):
    store = Store(tmp_path)
    store.save_model("upright", {"w": torch.zeros(3).numpy()})
    (tmp_path / "models" / "upright.npz").write_bytes(b"PK\3\4 no archive")
    assert store.load_model("upright") is None
    assert "upright.npz is damaged" in caplog.text
    for value in ("[3]", '{"mAP": "high"}', '{"mAP": null}', "1" * 400):
        store.save(base, {"mAP": 3.0})
        (file,) = (tmp_path / "cells").iterdir()
        file.write_text(f'{{"key": "{base.key}", "value": {value}}}')
        assert store.load(base) is None
