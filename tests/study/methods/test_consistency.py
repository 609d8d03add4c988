import torch
from torch import nn

from fedretina.study.methods.consistency import ModalConsistency


def test_it_learns(accuracy):
    assert accuracy("consistency") > 60


def test_members_that_agree_have_no_loss():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    source = nn.Linear(3, 7).eval().requires_grad_(False)
    model = ModalConsistency(body, [source], layer="0", example=torch.zeros(2, 3), width=4)
    z = torch.randn(6, 4)
    expert_outputs = torch.linalg.lstsq(model.maps[0].weight.detach(), z.T).solution.T  # what the map turns into z
    assert torch.allclose(model.fuse(z, [expert_outputs]), 2 * z, atol=1e-5)
    assert model.auxiliary_loss < 1e-5
    model.fuse(z, [-expert_outputs])
    assert model.auxiliary_loss > 1.9
