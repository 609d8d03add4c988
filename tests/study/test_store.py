import json
from dataclasses import replace

import numpy as np
import pytest

from fedretina.errors import BadArgument
from fedretina.study import Store


def test_cells_are_kept_by_setting_and_readable_by_people(tmp_path, base):
    store = Store(tmp_path)
    store.save(base, {"mAP": 30.0})
    assert Store(tmp_path).load(base) == {"mAP": 30.0}
    assert store.load(replace(base, seed=1)) is None
    (file,) = (tmp_path / "cells").iterdir()
    assert json.loads(file.read_text())["setting"]["target"] == base.target


def test_what_was_interrupted_while_it_was_written_is_not_there(tmp_path, base, monkeypatch):
    store = Store(tmp_path)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store.save(base, {"mAP": 30.0})
    with pytest.raises(KeyboardInterrupt):
        store.save_model("hall", {"w": np.ones(2)})
    assert store.load(base) is None
    assert store.load_model("hall") is None


@pytest.mark.parametrize("text", ["{", "[1]", "{}", "3"])
def test_a_damaged_cell_is_measured_anew_and_named(tmp_path, base, caplog, text):
    store = Store(tmp_path)
    store.save(base, {"mAP": 30.0})
    (file,) = (tmp_path / "cells").iterdir()
    file.write_text(text)
    assert store.load(base) is None
    assert file.name in caplog.text


def test_models_come_back_bit_by_bit(tmp_path):
    store, arrays = Store(tmp_path), {"a.weight": np.float32([1.5, -2]), "n": np.int64(3)}
    store.save_model("hall", arrays)
    found = store.load_model("hall")
    assert {name: (value.dtype, value.tolist()) for name, value in found.items()} == {
        name: (value.dtype, value.tolist()) for name, value in arrays.items()
    }


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadArgument, match=r"--out .*file"):
        Store(tmp_path / "file")
