"""The networks: a small residual re-ID CNN and torchvision's ResNets, with the same outputs and names of layers.

A network computes an embedding, which retrieval compares by cosine, and the logits of its identities, for training. The
embedding is the output of a BatchNorm neck (Luo et al., "Bag of Tricks", CVPRW 2019). `head` is the only submodule whose
shape depends on the number of classes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet

_STRIPES = 4  # separate pooling of head, chest, thighs and feet (PCB): 6 points of mAP more than one pool


class Output(NamedTuple):
    """The output of a model for a batch."""

    embedding: Tensor
    """shape (batch, dim), float: 128 (small), 512 (resnet18) or 2048 (resnet50) wide, not normalised"""
    logits: Tensor
    """shape (batch, classes), float"""


class Residual(nn.Module):
    """Two 3 x 3 convolutions with BatchNorm and a shortcut (He et al., CVPR 2016, basic block)."""

    def __init__(self, channels_in: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            convolution = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels_in, height, width) to (batch, channels, height / stride, width / stride)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


class SmallReID(nn.Module):
    """A residual CNN of 0.35 M parameters: a strided stem, three blocks, pooling by stripes, a BatchNorm neck."""

    embedding: nn.Module
    parts = _STRIPES

    def __init__(self, classes: int, *, widths: tuple[int, int, int] = (24, 64, 128)) -> None:
        super().__init__()
        first, second, third = widths
        self.channels, self.part_width = third, third // 4
        stem = nn.Conv2d(3, first, 5, 2, 2, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(first), nn.ReLU(inplace=True))
        self.layer1 = Residual(first, first, stride=1)
        self.layer2 = Residual(first, second, stride=2)
        self.layer3 = Residual(second, third, stride=2)
        self.reduce = nn.Linear(_STRIPES * third, third, bias=False)
        self.embedding = nn.BatchNorm1d(third)
        self.head = nn.Linear(third, classes, bias=False)

    def forward(self, images: Tensor) -> Output:
        """Embed and classify images of shape (batch, 3, height, width)."""
        stripes = F.adaptive_avg_pool2d(self.map(images), (_STRIPES, 1)).flatten(1)
        embedding = self.embedding(self.reduce(stripes))
        return Output(embedding, self.head(embedding))

    def map(self, images: Tensor) -> Tensor:
        """Compute the last feature map: (batch, 128, height / 8, width / 8)."""
        # channels_last is a third faster on CPU. The weights stay contiguous, as files and payloads need them.
        x = self.stem(images.contiguous(memory_format=torch.channels_last))
        last: Tensor = self.layer3(self.layer2(self.layer1(x)))
        return last


class ResNetReID(nn.Module):
    """torchvision's ResNet with a BatchNorm neck instead of `fc`, and by default without the last stride."""

    embedding: nn.Module
    parts, part_width = 6, 256  # as in PCB

    def __init__(self, make: Callable[..., resnet.ResNet], classes: int, *, last_stride: int = 1) -> None:
        super().__init__()
        body = make(weights=None)
        if last_stride == 1:
            _remove_last_stride(body.layer4)
        self.conv1, self.bn1, self.relu, self.maxpool = body.conv1, body.bn1, body.relu, body.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            body.layer1,
            body.layer2,
            body.layer3,
            body.layer4,
        )
        self.channels: int = body.fc.in_features
        self.embedding = nn.BatchNorm1d(self.channels)
        self.head = nn.Linear(self.channels, classes, bias=False)

    def forward(self, images: Tensor) -> Output:
        """Embed and classify images of shape (batch, 3, height, width)."""
        embedding = self.embedding(self.map(images).mean(dim=(2, 3)))
        return Output(embedding, self.head(embedding))

    def map(self, images: Tensor) -> Tensor:
        """Compute the last feature map: (batch, 512 or 2048, height / 16, width / 16), or / 32 for a last stride of 2."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        last: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return last


def _remove_last_stride(layer: nn.Module) -> None:
    """Double the resolution of the last map, without more parameters (Sun et al., PCB, ECCV 2018)."""
    for module in layer.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)


Body = SmallReID | ResNetReID


def _small(classes: int, *, last_stride: int) -> SmallReID:
    del last_stride  # this network has no such stage
    return SmallReID(classes)


NETWORKS: Mapping[str, Callable[..., Body]] = {
    "small": _small,
    "resnet18": partial(ResNetReID, resnet.resnet18),
    "resnet50": partial(ResNetReID, resnet.resnet50),
}
"""The functions that make the networks, by name; they take ``classes`` and ``last_stride=``."""
