"""A small GPT, and its adapters, on a base that is trained once."""

import numpy as np
import pytest

from fedretina.study.tasks import Adapters, Text, text


def test_text_is_learned():
    task = Text(clients=2, width=16, depth=1)
    model = task.first_model(0)
    assert task.lower_is_better
    assert task.measure(model) == pytest.approx(np.log(2048), abs=0.1)
    assert task.measure(task.train(model, 0, steps=10, seed=0)) < task.measure(model) - 0.1


def test_only_adapters_travel_and_their_base_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDRETINA_HOME", str(tmp_path))
    monkeypatch.setattr(text, "_WARMUP", 3)
    text.base.cache_clear()
    task = Adapters(clients=2, width=16, depth=1)
    model = task.first_model(0)
    assert all(name.endswith((".a", ".b")) for name in model)
    (file,) = (tmp_path / "studies" / "bases").iterdir()
    written = file.read_bytes()
    text.base.cache_clear()
    assert task.measure(model) == task.measure(task.first_model(1))  # B is zero, so adapters change nothing yet
    assert file.read_bytes() == written
    trained = task.train(model, 1, steps=4, seed=0)
    assert task.measure(trained) < task.measure(model)
    text.base.cache_clear()
