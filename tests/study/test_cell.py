from dataclasses import replace

import pytest

from digits import Digits
from fedretina.errors import BadArgument
from fedretina.study import Store, measure


def tasks(setting):
    return Digits(targets=(setting.target,))


def test_a_cell_is_measured_once(base, tmp_path):
    store, setting = Store(tmp_path), replace(base, epochs=2)
    calls = []
    first = measure(setting, tasks, store, lambda *what: calls.append(what), device="cpu")
    assert calls == [("alone", 1, 2), ("alone", 2, 2)]
    assert measure(setting, None, store, None) == first
    assert {"accuracy", "minutes"} <= set(first)


def test_an_interrupted_cell_leaves_nothing_but_its_trained_sources(base, tmp_path):
    store, setting = Store(tmp_path), replace(base, method="finetune", epochs=2, home_epochs=1)
    whole = measure(setting, tasks, Store(tmp_path / "other"), lambda *_: None, device="cpu")

    def interrupt(what, done, total):
        if (what, done) == ("finetune", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(setting, tasks, store, interrupt, device="cpu")
    assert not list((tmp_path / "cells").iterdir())
    assert len(list((tmp_path / "models").iterdir())) == 2
    calls = []
    again = measure(setting, tasks, store, lambda *what: calls.append(what), device="cpu")
    assert {what for what, _, _ in calls} == {"finetune"}
    assert again["accuracy"] == whole["accuracy"]


def test_an_unknown_method_is_named(base, tmp_path):
    with pytest.raises(BadArgument, match="'magic': allowed are alone, "):
        measure(replace(base, method="magic"), tasks, Store(tmp_path), lambda *_: None)
