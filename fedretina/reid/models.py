"""The networks: a small residual re-ID CNN and torchvision's ResNets, all with the same outputs and names.

Every model maps normalised images to an embedding, which retrieval compares by cosine, and to the logits of its own
identities, which training uses. The embedding follows a BatchNorm neck (Luo et al., "Bag of Tricks", CVPRW 2019);
`head` is the only submodule whose shape depends on the number of classes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet

from fedretina.errors import BadArgument
from fedretina.reid.weights import load_weights, read_weights

MODELS = ("small", "resnet18", "resnet50")
"""The names that `build` knows."""

_STRIPES = 4  # head, chest, thighs and feet are pooled apart (Sun et al., PCB, ECCV 2018): 6 mAP points over one pool
_PARTS, _PART_WIDTH = 6, 256  # of the ResNets, as PCB has them
_SMALLEST_SIDE = 16  # below this the ResNets' strides leave no pixel to pool


class Output(NamedTuple):
    """What a model returns for a batch."""

    embedding: Tensor
    """shape (batch, dim), float: 128 (small), 512 (resnet18) or 2048 (resnet50) wide, not normalised"""
    logits: Tensor
    """shape (batch, classes), float"""


class PartsOutput(NamedTuple):
    """What a model with parts returns for a batch."""

    embedding: Tensor
    """shape (batch, parts * dim), float: the parts side by side, not normalised"""
    logits: Tensor
    """shape (batch, parts, classes), float: each part has a classifier of its own"""
    local: Tensor
    """shape (batch, parts, dim), float: the parts before the BatchNorm neck, from top to bottom"""


HEADS = ("global", "plain", "parts")
"""What `build` puts on a network."""


def build(
    name: str,
    classes: int,
    *,
    height: int,
    width: int,
    weights: str | Path = "",
    head: str = "global",
    last_stride: int = 1,
) -> nn.Module:
    """Build a re-ID model; nothing is ever downloaded.

    Parameters
    ----------
    name : str
        One of `MODELS`. "small": 0.35 M parameters, for 64 x 32 pixels.
    classes : int
        Number of training identities, at least 1.
    height, width : int
        Size of the input in pixels, at least 16 each. Weights do not depend on it.
    weights : str or Path, default ""
        A weights file of your own (.safetensors, or .pth read without pickle's code): torchvision's, or one of these
        models', with or without parts, saved from `DataParallel` or not; its classifier (`fc.*`, `head.*`) is ignored.
        "": random initialisation from torch's global generator.
    head : {"global", "plain", "parts"}, default "global"
        One embedding and classifier; the same without the BatchNorm neck; or one a horizontal part (PCB, Sun et al., ECCV
        2018): 4 parts, small; 6, the ResNets.
    last_stride : {1, 2}, default 1
        Of the ResNets' last stage; 2 is torchvision's, with a quarter of the last map's pixels.

    Returns
    -------
    nn.Module
        forward(images of shape (batch, 3, height, width), float, normalised) -> `Output`, or `PartsOutput`. Submodules
        worth tapping: `layer2`, `layer3`, `embedding`; the classifier is `head`.

    Raises
    ------
    BadArgument
        An unknown name, an impossible size, or a weights file that does not fit.

    Examples
    --------
    >>> model = build("small", 10, height=64, width=32).eval()
    >>> embedding, logits = model(torch.zeros(2, 3, 64, 32))
    >>> tuple(embedding.shape), tuple(logits.shape)
    ((2, 128), (2, 10))
    """
    if name not in MODELS:
        raise BadArgument(f"model {name!r} is unknown: use one of {', '.join(MODELS)}")
    if classes < 1:
        raise BadArgument(f"model {name!r} needs at least 1 class, got {classes}")
    if min(height, width) < _SMALLEST_SIDE:
        raise BadArgument(f"model {name!r} needs images of {_SMALLEST_SIDE} pixels a side or more: {height} x {width}")
    if head not in HEADS:
        raise BadArgument(f"head {head!r} is unknown: use one of {', '.join(HEADS)}")
    if last_stride not in (1, 2):
        raise BadArgument(f"last stride {last_stride}: 1 or 2 is allowed")
    model = SmallReID(classes) if name == "small" else ResNetReID(name, classes, last_stride=last_stride)
    if head == "plain":
        model.embedding = nn.Identity()
    return _started(model, classes, parts=head == "parts", weights=Path(weights).expanduser() if str(weights) else None)


def _started(model: "SmallReID | ResNetReID", classes: int, *, parts: bool, weights: Path | None) -> nn.Module:
    """Load the file, if any, and cut the last map into parts, if wanted."""
    given = {} if weights is None else read_weights(weights)
    saved_with_parts = any(name.startswith("body.") for name in given)
    if weights and not (parts and saved_with_parts):
        load_weights(model, given, weights)  # before the parts take the place of what the file has too
    whole = PartsReID(model, classes) if parts else model
    if weights and parts and saved_with_parts:
        load_weights(whole, given, weights)
    return whole


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

    def __init__(self, classes: int, *, widths: tuple[int, int, int] = (24, 64, 128)) -> None:
        super().__init__()
        first, second, third = widths
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
        """Give the last stage's map: (batch, 128, height / 8, width / 8)."""
        # A third faster on CPU; the weights stay contiguous, since files and wire formats want them so.
        x = self.stem(images.contiguous(memory_format=torch.channels_last))
        last: Tensor = self.layer3(self.layer2(self.layer1(x)))
        return last


class ResNetReID(nn.Module):
    """torchvision's ResNet, by default with the last stride removed, and a BatchNorm neck in place of `fc`."""

    embedding: nn.Module

    def __init__(self, name: str, classes: int, *, last_stride: int = 1) -> None:
        super().__init__()
        make: Callable[..., resnet.ResNet] = {"resnet18": resnet.resnet18, "resnet50": resnet.resnet50}[name]
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
        self.embedding = nn.BatchNorm1d(body.fc.in_features)
        self.head = nn.Linear(body.fc.in_features, classes, bias=False)

    def forward(self, images: Tensor) -> Output:
        """Embed and classify images of shape (batch, 3, height, width)."""
        embedding = self.embedding(self.map(images).mean(dim=(2, 3)))
        return Output(embedding, self.head(embedding))

    def map(self, images: Tensor) -> Tensor:
        """Give the last stage's map: (batch, 512 or 2048, height / 16, width / 16), or / 32 at a last stride of 2."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        last: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return last


class PartsReID(nn.Module):
    """A network of this file whose last map is cut into horizontal parts, each with an embedding and a classifier (PCB)."""

    def __init__(self, body: "SmallReID | ResNetReID", classes: int) -> None:
        super().__init__()
        channels = body.layer3.conv2.out_channels if isinstance(body, SmallReID) else body.head.in_features
        parts, width = (_STRIPES, channels // 4) if isinstance(body, SmallReID) else (_PARTS, _PART_WIDTH)
        for name in ("reduce", "embedding", "head"):
            if hasattr(body, name):
                delattr(body, name)
        self.body = body
        self.reduce = nn.ModuleList(nn.Linear(channels, width, bias=False) for _ in range(parts))
        self.embedding = nn.BatchNorm1d(parts * width)
        self.head = nn.ModuleList(nn.Linear(width, classes, bias=False) for _ in range(parts))

    def forward(self, images: Tensor) -> PartsOutput:
        """Embed and classify images of shape (batch, 3, height, width)."""
        stripes = F.adaptive_avg_pool2d(self.body.map(images), (len(self.head), 1)).flatten(2)
        local = torch.stack([reduce(stripes[:, :, i]) for i, reduce in enumerate(self.reduce)], dim=1)
        embedding = self.embedding(local.flatten(1))
        necks = embedding.view_as(local)
        logits = torch.stack([head(necks[:, i]) for i, head in enumerate(self.head)], dim=1)
        return PartsOutput(embedding, logits, local)


def _remove_last_stride(layer: nn.Module) -> None:
    """Keep twice the resolution at the end: finer features at no parameter's cost (Sun et al., PCB, ECCV 2018)."""
    for module in layer.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
