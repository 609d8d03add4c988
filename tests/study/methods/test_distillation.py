import torch
from torch import nn

from fedretina.study.methods.distillation import Distillation
from fedretina.train import ForwardPass


def test_it_helps(accuracy):
    assert accuracy("distillation") > accuracy("alone")


def test_the_heads_learn_to_say_what_the_sources_say():
    torch.manual_seed(0)
    source, z = nn.Linear(5, 3), torch.randn(64, 5)
    term = Distillation([source], [3], layer="z", width=5)
    optimiser = torch.optim.Adam(term.parameter_groups()[0]["params"], lr=0.05)
    losses = []
    for _ in range(300):
        loss = term.loss(ForwardPass(z, torch.empty(0), None, {"z": z}, 0.0))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.01 * losses[0]
    assert source.weight.grad is None
