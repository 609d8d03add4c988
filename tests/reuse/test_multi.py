"""The one object for any loop: what it learns, what it leaves alone, what it refuses."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from fedretina.errors import BadArgument
from fedretina.reuse import Form, MultiModelReuse, Schedule

IMAGES = torch.randn(48, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network(width, out=3, *, norm=True):
    torch.manual_seed(width)
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width) if norm else nn.Identity(), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 12), nn.Linear(12, out),
    )  # fmt: skip


class Other(nn.Module):
    """Another architecture, other names."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Conv2d(3, 5, 3, stride=2)
        self.neck = nn.Linear(45, 20)
        self.classifier = nn.Linear(20, 4)

    def forward(self, x):
        return self.classifier(self.neck(self.trunk(x).flatten(1)))


def trained(reuse, steps=60):
    optimiser = torch.optim.Adam([{"params": reuse.target.parameters()}, *reuse.parameter_groups(lr=0.01)], lr=0.01)
    for _ in range(steps):
        reused = reuse(IMAGES)
        optimiser.zero_grad()
        reused.loss.backward()
        optimiser.step()
    return reused


def test_a_target_learns_to_hold_sources_of_other_architectures():
    sources = {"same": network(6, 9), "other": Other()}
    reuse = MultiModelReuse(network(8), sources, IMAGES[:2], source_layers={"other": ["trunk", "neck"]})
    assert reuse.layers == ["3", "5"]
    first = reuse(IMAGES).residuals
    last = trained(reuse).residuals
    assert last["same"] < 0.7 * first["same"]
    assert last["other"] < first["other"] - 0.2


def test_sources_of_other_names_are_paired_by_what_they_put_out():
    reuse = MultiModelReuse(network(8), {"other": Other()}, IMAGES[:2])
    assert set(reuse.features(IMAGES)["other"]) == set(reuse.layers)
    assert reuse.features(IMAGES)["other"]["5"].shape == (48, 20)


def test_a_target_learns_from_torchvisions_resnet_with_no_layer_named():
    reuse = MultiModelReuse(network(8), {"resnet": resnet18(weights=None)}, IMAGES[:2])
    assert reuse.layers == ["3", "5"]
    assert reuse.features(IMAGES)["resnet"]["5"].shape == (48, 512)
    reuse.fit(IMAGES)
    first = reuse(IMAGES).residuals["resnet"]
    assert trained(reuse).residuals["resnet"] < first
    unpooled = {
        "resnet": {"3": reuse.features(IMAGES)["resnet"]["3"], "5": reuse.features(IMAGES)["resnet"]["5"][..., None, None]}
    }
    torch.testing.assert_close(reuse.eval()(IMAGES, features=unpooled).loss, reuse(IMAGES).loss)


def test_the_target_is_no_source_of_its_own():
    target = network(8)
    for source in (target, nn.Sequential(network(6)[:5], target[5])):
        with pytest.raises(BadArgument, match="source 'p' shares parameters with the target"):
            MultiModelReuse(target, {"p": source}, IMAGES[:2])
    assert all(parameter.requires_grad for parameter in target.parameters())
    assert MultiModelReuse(target, {"p": deepcopy(target)}, IMAGES[:2]).layers == ["3", "5"]


def test_sources_stay_frozen_and_are_no_part_of_the_state():
    source = network(6)
    before = deepcopy(source.state_dict())
    reuse = MultiModelReuse(network(8), {"peer": source}, IMAGES[:2])
    reuse.train()
    trained(reuse, 3)
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in before.items())
    assert not source.training
    assert not any("0.weight" in name for name in reuse.state_dict())
    assert next(reuse.double().sources["peer"].parameters()).dtype == torch.float64


def test_while_v_warms_up_no_gradient_reaches_the_target():
    reuse = MultiModelReuse(network(8), {"peer": network(6)}, IMAGES[:2], schedule=Schedule(warm_up=2, ramp=2))
    gradients = []
    for _ in range(5):
        reuse.zero_grad()
        reuse.target.zero_grad()
        reuse(IMAGES).loss.backward()
        gradients.append(float(reuse.target[0].weight.grad.abs().sum()))
        assert all(float(p.grad.abs().sum()) > 0 for p in reuse.objective.v.parameters())
    assert gradients[:2] == [0, 0]
    assert 0 < gradients[2] < 0.7 * gradients[3]
    assert gradients[4] == pytest.approx(gradients[3], rel=1e-3)


def test_evaluation_counts_no_steps():
    reuse = MultiModelReuse(network(8), {"peer": network(6)}, IMAGES[:2]).eval()
    reuse(IMAGES)
    assert reuse.steps == 0


def test_the_state_is_taken_up_again():
    reuse, other = (MultiModelReuse(network(8), {"peer": network(6)}, IMAGES[:2]) for _ in range(2))
    trained(reuse, 5)
    other.load_state_dict(reuse.state_dict())
    assert other.steps == 5
    other.target.load_state_dict(reuse.target.state_dict())
    torch.testing.assert_close(other.eval()(IMAGES).loss, reuse.eval()(IMAGES).loss)


def test_v_by_least_squares_is_refreshed():
    reuse = MultiModelReuse(network(8), {"peer": network(6)}, IMAGES[:2], form=Form(closed_form=True))
    before = float(reuse(IMAGES).residuals["peer"])
    reuse.fit(IMAGES)
    assert float(reuse(IMAGES).residuals["peer"]) < 0.8 * before
    assert reuse.parameter_groups(lr=0.01) == []


def test_kept_features_take_the_place_of_the_sources():
    reuse = MultiModelReuse(network(4), {"a": network(6)}, IMAGES[:2], layers=["5"])
    reuse.eval()
    kept, ran = reuse.features(IMAGES), []
    expected = reuse(IMAGES[:16]).loss
    reuse.sources["a"].register_forward_hook(lambda *_: ran.append(1))
    again = reuse(IMAGES[:16], features={"a": {"5": kept["a"]["5"][:16]}}).loss
    torch.testing.assert_close(again, expected)
    assert not ran


def test_sources_take_the_targets_statistics():
    source = network(6)
    reuse = MultiModelReuse(network(8), {"peer": source}, IMAGES[:2])
    shifted = 4 * IMAGES + 2
    reuse.adapt(lambda: iter([shifted[:24], shifted[24:]]))
    after = source[1](source[0](shifted))
    assert after.mean().abs() < 0.1
    assert (after.std() - 1).abs() < 0.1


def test_layers_that_do_not_pair_are_told():
    with pytest.raises(BadArgument, match=r"source 'other': 1 layers \['neck'\] for the target's 2"):
        MultiModelReuse(network(8), {"other": Other()}, IMAGES[:2], source_layers={"other": ["neck"]})
    with pytest.raises(BadArgument, match="source_layers names"):
        MultiModelReuse(network(8), {"other": Other()}, IMAGES[:2], source_layers={"nobody": ["neck"]})
    with pytest.raises(BadArgument, match="order"):
        MultiModelReuse(network(8), {"other": Other()}, IMAGES[:2], source_layers={"other": ["neck", "trunk"]})
