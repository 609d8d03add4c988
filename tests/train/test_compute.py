"""Device and precision of the training."""

from collections import namedtuple

import pytest
import torch
from torch import nn

from fedretina.task import Splits, Task
from fedretina.train import DomainBatches, EpochRange, Learner, Training, compute


def training(precision):
    return Training(device="cpu", precision=precision, batch_size=16, lr=0.02)


@pytest.fixture
def cpuinfo(tmp_path, monkeypatch):
    monkeypatch.setattr(compute, "_CPUINFO", tmp_path / "cpuinfo")
    compute._cpu_flags.cache_clear()
    yield tmp_path / "cpuinfo"
    compute._cpu_flags.cache_clear()


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("processor : 0\nflags : fpu avx512f avx512_bf16\n", True),
        ("processor : 0\nflags : fpu amx_bf16\n", True),
        ("processor : 0\nflags : fpu avx512f\n", False),
        ("processor : 0\nFeatures : fp asimd\n", False),
        (None, False),
    ],
)
def test_auto_takes_bfloat16_where_the_cpu_has_it(cpuinfo, text, native):
    if text is not None:
        cpuinfo.write_text(text)
    assert compute.has_bfloat16(torch.device("cpu")) is native
    model, seen = nn.Linear(2, 2), []
    model.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    assert compute.forward_function(training("auto"))(model, torch.ones(1, 2)).dtype == torch.float32
    assert seen == [torch.bfloat16 if native else torch.float32]


def test_outputs_of_every_kind_are_float32():
    low, pair = torch.ones(1, dtype=torch.bfloat16), namedtuple("pair", "a b")  # as an old model may give
    output = compute.to_float32({"x": [low, low.double()], "y": pair(low, torch.tensor([1])), "z": None})
    assert output["x"][0].dtype == torch.float32
    assert output["x"][1].dtype == torch.float64
    assert isinstance(output["y"], pair)
    assert output["y"].a.dtype == torch.float32
    assert output["y"].b.dtype == torch.int64
    assert output["z"] is None


class Blobs(Task):
    """Two classes apart along one axis."""

    metric, layers = "accuracy", ("0",)

    def loss(self, output, labels):
        assert output.dtype == torch.float32
        return nn.functional.cross_entropy(output, labels)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_learner_learns_in_either_precision_and_its_weights_stay_float32(precision):
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    inputs = torch.randn(64, 8, generator=draw) + 3 * labels[:, None]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    losses = []
    batches = DomainBatches(Blobs(), Splits(inputs, labels), 16)
    learner = Learner(model, Blobs(), training(precision), name="x", batches=batches)
    learner.train(EpochRange(0, 20, 20), 64, lambda _epoch, _of, loss, _rate: losses.append(loss))
    assert losses[-1] < 0.2 < losses[0]
    assert {value.dtype for value in model.parameters()} == {torch.float32}
