import pytest
import torch
from torch import nn
from torchvision.models import densenet121, resnet18, resnet50

from fedretina.errors import BadArgument
from fedretina.reid import build
from fedretina.reuse import choose_layers

IMAGES = torch.zeros(2, 3, 64, 32)


@pytest.mark.parametrize(("name", "expected"), [("small", ["layer3", "embedding"]), ("resnet18", ["layer4", "embedding"])])
def test_auto_takes_the_last_stage_and_the_embedding(name, expected):
    assert choose_layers(build(name, 5, height=64, width=32), "auto", IMAGES) == expected


def test_auto_looks_into_a_wrapper():
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)))
    assert choose_layers(model, "auto", torch.zeros(2, 4)) == ["0.1"]


def test_auto_leaves_out_what_runs_twice_and_the_output():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.shared, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return {"logits": self.head(self.shared(self.shared(self.first(x))))}

    assert choose_layers(Twice(), "auto", torch.zeros(2, 4)) == ["first"]


def test_auto_leaves_out_what_is_changed_in_place_later():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))
    assert choose_layers(model, "auto", torch.zeros(2, 4)) == ["2"]
    with pytest.raises(BadArgument, match="that gives maps or vectors: name the layers"):
        choose_layers(densenet121(weights=None), "auto", IMAGES)


def test_auto_says_when_there_is_nothing():
    with pytest.raises(BadArgument, match="that gives maps or vectors: name the layers"):
        choose_layers(nn.Sequential(nn.Linear(4, 2)), "auto", torch.zeros(2, 4))


@pytest.mark.parametrize("make", [resnet18, resnet50])
def test_auto_takes_torchvisions_pooled_map_for_the_embedding(make):
    assert choose_layers(make(weights=None), "auto", IMAGES) == ["layer4", "avgpool"]


@pytest.mark.parametrize("name", ["small", "resnet18"])
def test_a_map_of_one_pixel_stays_a_map_beside_an_embedding(name):
    expected = ["layer4" if name == "resnet18" else "layer3", "embedding"]
    assert choose_layers(build(name, 5, height=16, width=16), "auto", torch.zeros(2, 3, 16, 16)) == expected


def test_names_keep_their_order_and_patterns_choose_the_uppermost_in_the_models():
    model = build("small", 5, height=64, width=32)
    assert choose_layers(model, ["layer[32]", "stem"], IMAGES) == ["layer2", "layer3", "stem"]
    assert choose_layers(model, ["embedding", "layer3"], IMAGES) == ["embedding", "layer3"]
    assert choose_layers(model, ["layer3", "layer*"], IMAGES) == ["layer3", "layer1", "layer2"]
    assert choose_layers(model, ["layer*"], IMAGES) == ["layer1", "layer2", "layer3"]
    assert choose_layers(model, ["layer3.bn?"], IMAGES) == ["layer3.bn1", "layer3.bn2"]
    with pytest.raises(BadArgument, match="no layer of SmallReID fits the pattern 'block"):
        choose_layers(model, ["block*"], IMAGES)
    with pytest.raises(BadArgument, match="write 'auto'"):
        choose_layers(model, "layer3", IMAGES)
