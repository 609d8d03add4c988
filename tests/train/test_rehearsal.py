"""What fails for certain is told before anything trains, by name."""

import math
import shutil
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from digits import Digits
from fedretina.errors import BadArgument
from fedretina.task import Splits
from fedretina.train import Training, check_disk_space, rehearse
from fedretina.train.rehearsal import check_splits, model_bytes

TRAINING = Training(device="cpu", precision="float32", batch_size=8)


def splits(labels=(0, 1, 0, 1), **others):
    return Splits(torch.rand(len(labels), 64), torch.tensor(labels), **others)


def attempt(data, *, task=None, model=None, layers=("1",)):
    task = task or Digits()
    model = model or task.model("upright", 10)
    return rehearse(task, data, model, TRAINING, domain="upright", layers=layers)


def test_a_sound_domain_gives_the_shapes_of_its_layers():
    data, model = splits(), Digits().model("upright", 10)
    before = torch.random.get_rng_state()
    assert attempt(data, model=model) == {"1": (48,)}
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("labels", [(0, 0, 0), (3, 3)])
def test_one_class_is_too_few(labels):
    with pytest.raises(BadArgument, match="the labelled samples of 'upright' are of 1 class: 2 or more are needed"):
        attempt(splits(labels))


def test_labels_that_do_not_fit_the_samples():
    with pytest.raises(BadArgument, match="'upright' has 3 labelled samples and 2 labels"):
        check_splits(Splits(torch.zeros(3, 2), torch.tensor([0, 1])), "upright")
    with pytest.raises(BadArgument, match="give a class from 0 for each"):
        check_splits(splits((-1, 0, 1)), "upright")
    for name, wanted in (("hidden", 2), ("groups", 6)):
        with pytest.raises(BadArgument, match=f"`{name}` of 'upright' has 1 entries: give {wanted}"):
            check_splits(splits(unlabelled=torch.zeros(2, 64), **{name: torch.zeros(1)}), "upright")


def test_a_layer_that_is_not_there_is_named_with_the_key():
    with pytest.raises(BadArgument, match="layers = '9': "):
        attempt(splits(), layers=("9",))


def test_a_loss_that_is_not_finite():
    class Broken(Digits):
        def loss(self, output, labels):
            return output.sum() * math.nan

    with pytest.raises(BadArgument, match="the loss of 'upright' is nan in the first step, and must be finite"):
        attempt(splits(), task=Broken())


def test_a_batch_that_does_not_fit_into_the_device():
    class Large(Digits):
        def loss(self, output, labels):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(BadArgument, match="batch-size = 8: a batch does not fit into the memory of cpu; give less"):
        attempt(splits(), task=Large())


def test_a_full_disk_is_told_with_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=3_000_000))
    check_disk_space(tmp_path / "not" / "made", 3_000_000, "the models")
    with pytest.raises(BadArgument, match=r"made has 3 MB free, the models take 4 MB: free space, or set FEDRETINA_HOME"):
        check_disk_space(tmp_path / "not" / "made", 4_000_000, "the models")


def test_model_bytes_a_model():
    assert model_bytes(nn.Linear(3, 2)) == 32
