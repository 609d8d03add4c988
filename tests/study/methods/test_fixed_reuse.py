import pytest
import torch
from torch import nn

from fedretina.study.methods.fixed_reuse import FixedModelReuse
from fedretina.study.methods.fusion import layer_reader


def body(width=5):
    return nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 2))


def absorbing(source, steps=4):
    torch.manual_seed(0)
    return FixedModelReuse(
        body(4), [source], layer="1", read=layer_reader("1"), example=torch.zeros(2, 3), width=4, steps=steps
    )


@pytest.mark.parametrize("name", ["fmr", "fmr-start"])
def test_it_learns(accuracy, name):
    assert accuracy(name) > 50


def test_the_source_is_gone_at_test_time():
    source = body().eval()
    model, x = absorbing(source).eval(), torch.randn(8, 3)
    before = model(x)
    nn.init.constant_(source[0].weight, 7)
    assert torch.equal(model(x), before)


def test_the_source_fades_until_its_steps_are_over():
    source = body().eval().requires_grad_(False)
    model, x = absorbing(source).train(), torch.randn(8, 3)
    for step in range(6):
        told = model(x)
        given = model.fuse(torch.zeros(8, 4), [torch.ones(8, 5)])  # counts as a step too
        other = model.fuse(torch.zeros(8, 4), [torch.zeros(8, 5)])
        assert told.shape == (8, 2)
        assert torch.equal(given, other) == (3 * step + 2 >= 4)
    assert model.auxiliary_loss > 0
