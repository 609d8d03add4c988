"""Which layer stands for which: as named, by pattern, by kind; what finds no partner."""

import logging

import pytest
import torch
from torch import nn
from torchvision.models import resnet18, vgg11

from fedretina.errors import BadArgument
from fedretina.reid import build
from fedretina.reuse.pairing import pair_layers

IMAGES = torch.zeros(2, 3, 64, 32)
ROWS = torch.zeros(2, 6)


class Two(nn.Module):
    """Two layers, called as one wishes, and an output."""

    def __init__(self, first: str, second: str, width: int) -> None:
        super().__init__()
        self._names = first, second
        self.add_module(first, nn.Linear(6, width))
        self.add_module(second, nn.Linear(width, width + 1))
        self.out = nn.Linear(width + 1, 3)

    def forward(self, x):
        for name in self._names:
            x = torch.relu(self.get_submodule(name)(x))
        return self.out(x)


TARGET, PEER = Two("layer3", "embedding", 4), Two("trunk", "neck", 8)


def named(layers, given):
    return pair_layers(TARGET, {"p": PEER}, ROWS, layers=layers, source_layers={"p": given}).names["p"]


def test_layers_pair_in_the_order_in_which_both_are_named():
    expected = {"layer3": "trunk", "embedding": "neck"}
    assert named(["layer3", "embedding"], ["trunk", "neck"]) == expected
    assert named(["embedding", "layer3"], ["neck", "trunk"]) == expected
    crossed = pair_layers(TARGET, {"p": PEER}, ROWS, layers=["embedding", "layer3"], source_layers={"p": ["trunk", "neck"]})
    assert crossed.names["p"] == {"embedding": "trunk", "layer3": "neck"}
    assert (crossed.target, crossed.sources["p"]) == (
        {"embedding": (5,), "layer3": (4,)},
        {"embedding": (8,), "layer3": (9,)},
    )


def test_a_source_is_named_by_patterns_too():
    assert named(["layer3", "emb*"], ["t*", "n*"]) == {"layer3": "trunk", "embedding": "neck"}
    with pytest.raises(BadArgument, match="no layer of Two fits the pattern 'x"):
        named(["layer3"], ["x*"])


def test_a_string_is_no_list_of_letters():
    with pytest.raises(BadArgument, match=r"source_layers\['p'\] = 'neck': .*\['neck'\]"):
        named(["embedding"], "neck")


def test_by_auto_a_small_target_pairs_with_torchvisions_resnet():
    found = pair_layers(build("small", 5, height=64, width=32), {"r": resnet18(weights=None)}, IMAGES)
    assert found.names["r"] == {"layer3": "layer4", "embedding": "avgpool"}
    assert found.sources["r"] == {"layer3": (512, 2, 1), "embedding": (512,)}
    assert found.vectors == {"embedding"}
    assert (
        found.to_target_names("r", {"layer4": torch.ones(2, 512, 2, 1), "avgpool": torch.ones(2, 512, 1, 1)})[
            "embedding"
        ].dim()
        == 2
    )


def test_by_auto_torchvisions_resnet_pairs_with_itself_and_with_ours():
    sources = {"ours": build("small", 5, height=64, width=32), "theirs": resnet18(weights=None)}
    found = pair_layers(resnet18(weights=None), sources, IMAGES)
    assert found.names["ours"] == {"layer4": "layer3", "avgpool": "embedding"}
    assert found.names["theirs"] == {"layer4": "layer4", "avgpool": "avgpool"}
    assert found.target["avgpool"] == found.sources["theirs"]["avgpool"] == (512,)


def test_a_layer_without_a_partner_is_left_out_and_told(caplog):
    target, sources = build("small", 5, height=64, width=32), {"v": vgg11(weights=None), "r": resnet18(weights=None)}
    with caplog.at_level(logging.WARNING, "fedretina"):
        found = pair_layers(target, sources, IMAGES)
    assert found.layers == ("layer3",)
    assert found.names == {"v": {"layer3": "avgpool"}, "r": {"layer3": "layer4"}}
    assert "layer 'embedding' is not reused: no layer of its kind is found in ['v']" in caplog.text


def test_a_layer_that_was_asked_for_must_have_a_partner():
    with pytest.raises(BadArgument, match=r"'embedding', \(128,\), is found in \['v'\]"):
        pair_layers(
            build("small", 5, height=64, width=32), {"v": vgg11(weights=None)}, IMAGES, layers=["layer3", "embedding"]
        )
    with pytest.raises(BadArgument, match=r"'1', \(3,\), is found in \['c'\]"):
        pair_layers(
            nn.Sequential(nn.Flatten(), nn.Linear(6144, 3), nn.Linear(3, 2)),
            {"c": nn.Sequential(nn.Conv2d(3, 2, 5), nn.AdaptiveMaxPool2d(2), nn.Flatten())},
            IMAGES,
            layers=["1"],
            source_layers={"c": "auto"},
        )


def test_our_own_networks_pair_as_ever_at_the_smallest_size():
    small, large = (build(name, 5, height=16, width=16) for name in ("small", "resnet18"))
    found = pair_layers(large, {"s": small}, torch.zeros(2, 3, 16, 16))
    assert found.names["s"] == {"layer4": "layer3", "embedding": "embedding"}
    assert found.target["layer4"] == (512, 1, 1)
