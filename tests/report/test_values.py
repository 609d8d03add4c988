"""Exports: CSV, TensorBoard, loggers."""

import csv
import sys
import types

import pytest

from fedretina.errors import BadArgument
from fedretina.report import start_logger, write_csv, write_tensorboard
from sample_run import make_run


def test_a_csv_file_has_a_row_a_round(run, tmp_path):
    other = make_run(tmp_path / "other", targets={"duke": 0.0, "hall": 2.0})
    write_csv([run, other], tmp_path / "rounds.csv")
    rows = list(csv.DictReader((tmp_path / "rounds.csv").open()))
    assert len(rows) == 5 + 2 * 5
    assert (rows[4]["run"], rows[4]["target"], rows[4]["round"], rows[4]["mAP"]) == (run.name, "duke", "5", "61.2")
    assert rows[-1]["target"] == "hall"
    assert int(rows[0]["wire_bytes_down"]) > 0
    with pytest.raises(BadArgument, match="cannot write"):
        write_csv([run], tmp_path / "nowhere" / "rounds.csv")


def test_tensorboard_reads_what_is_written(run, tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write_tensorboard(run, tmp_path / "logs")
    found = reader.EventAccumulator(str(tmp_path / "logs" / run.name)).Reload()
    assert [event.step for event in found.Tensors("duke/mAP")] == [1, 2, 3, 4, 5]
    assert found.Tensors("duke/mAP")[-1].tensor_proto.float_val[0] == pytest.approx(61.2)


def test_a_package_that_is_missing_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    with pytest.raises(BadArgument, match="pip install tensorboard"):
        write_tensorboard(run, tmp_path)


def test_a_module_like_wandb_gets_the_numbers(monkeypatch):
    calls = []
    module = types.SimpleNamespace(
        init=lambda **how: calls.append(how),
        log=lambda values, step: calls.append((values, step)),
        finish=lambda: calls.append("end"),
    )
    monkeypatch.setitem(sys.modules, "trackio", module)
    logger = start_logger("trackio", name="first", config={"rounds": 2})
    logger.log({"duke/mAP": 60.0}, step=1)
    logger.finish()
    assert calls == [{"project": "fedretina", "name": "first", "config": {"rounds": 2}}, ({"duke/mAP": 60.0}, 1), "end"]
    with pytest.raises(BadArgument, match="pip install no_such_logger"):
        start_logger("no_such_logger", name="first", config={})
