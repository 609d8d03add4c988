"""The vectors' text, networks and judge."""

import numpy as np
import pytest
import torch

from codec.update import Update
from codec.vectors.judge import Judge, loss_of
from codec.vectors.roster import JUDGED_VECTORS, QUICK_VECTORS


def test_the_judge_gives_0_to_new_1_to_base_and_half_between():
    """The loss is linear here, so half of the update has half of the improvement."""
    network = torch.nn.Linear(2, 1, bias=False)
    base, new = {"weight": np.float32([[0, 4]])}, {"weight": np.float32([[2, 4]])}
    judge = Judge(loss_of(network, lambda module: -module.weight.sum()), base, new)
    assert judge.losses == (-4, -6)
    assert (judge.lost_by(new), judge.lost_by(base)) == (0, 1)
    assert judge.lost({"weight": np.float32([[1, 0]])}) == pytest.approx(0.5)
    assert judge.lost({}) == 1


def test_the_judge_takes_bfloat16_and_keeps_it(tmp_path):
    vector = QUICK_VECTORS["gpt-tiny-bf16"]
    vector.write("gpt-tiny-bf16", tmp_path)
    update, judge = Update.read(tmp_path / "gpt-tiny-bf16"), vector.judge("gpt-tiny-bf16", tmp_path)
    assert {values.dtype.name for values in update.new.values()} == {"bfloat16"}
    assert judge.losses[1] < judge.losses[0]
    assert judge.lost(update.delta) == pytest.approx(0, abs=1e-6)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")}
    vector.write("gpt-tiny-bf16", tmp_path)
    assert files == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")}


def test_every_vector_of_the_issue_is_judged():
    kinds = ("up40", "up200", "down", "bf16", "lora-zero", "lora-round2")
    assert {"vit", *(f"gpt5m-{kind}" for kind in kinds)} < set(JUDGED_VECTORS)
    assert {"resnet50-adamw", "resnet50-sgd", "cnn-adamw", "cnn-sgd"} < set(JUDGED_VECTORS)
