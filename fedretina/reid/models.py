"""Build a re-ID model: a network, its head, and weights from a file."""

from pathlib import Path

from torch import nn

from fedretina.errors import BadArgument
from fedretina.reid.heads import HEADS, Head
from fedretina.reid.networks import NETWORKS, Body
from fedretina.reid.weights import load_weights, read_weights

MODELS = tuple(NETWORKS)
"""The names of the networks."""

_SMALLEST_SIDE = 16  # on smaller images the ResNets' strides leave no pixel for the pooling


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
    """Build a re-ID model. It never downloads weights.

    Parameters
    ----------
    name : str
        One of `MODELS`. "small": 0.35 M parameters, for 64 x 32 pixels.
    classes : int
        Number of training identities, at least 1.
    height, width : int
        Size of the input in pixels, at least 16 each. Weights do not depend on it.
    weights : str or Path, default ""
        A weights file (.safetensors, or .pth, read without running pickled code). It is torchvision's, or was saved from one
        of these models, with any head, with or without `DataParallel`. Its classifier (`fc.*`, `head.*`) is ignored.
        "": random weights from torch's global generator.
    head : {"global", "plain", "parts"}, default "global"
        "global": one embedding and classifier. "plain": the same without the BatchNorm neck. "parts": one embedding and
        classifier per horizontal part (PCB, Sun et al., ECCV 2018); "small" has 4 parts, the ResNets have 6.
    last_stride : {1, 2}, default 1
        Stride of the ResNets' last stage. 2 is torchvision's; the last map then has a quarter of the pixels.

    Returns
    -------
    nn.Module
        forward(images of shape (batch, 3, height, width), float, normalised) -> `Output`, or `PartsOutput`. Submodules
        worth reusing: `layer2`, `layer3`, `embedding`. The classifier is `head`.

    Raises
    ------
    BadArgument
        The name is unknown, the size is too small, or the weights file does not fit.

    Examples
    --------
    >>> import torch
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
        raise BadArgument(f"model {name!r} needs images of {_SMALLEST_SIDE} pixels or more per side, got {height} x {width}")
    if head not in HEADS:
        raise BadArgument(f"head {head!r} is unknown: use one of {', '.join(HEADS)}")
    if last_stride not in (1, 2):
        raise BadArgument(f"last stride {last_stride}: 1 or 2 is allowed")
    body = NETWORKS[name](classes, last_stride=last_stride)
    if not str(weights):
        return HEADS[head].attach(body, classes)
    return _loaded(body, HEADS[head], classes, Path(weights).expanduser())


def _loaded(body: Body, head: Head, classes: int, file: Path) -> nn.Module:
    """Add a head to a network, and load a file that was saved with or without this head."""
    given = read_weights(file)
    saved_with_head = head.is_in(given)
    if not saved_with_head:
        load_weights(body, given, file)  # before the head replaces layers that the file has
    model = head.attach(body, classes)
    if saved_with_head:
        load_weights(model, given, file)
    return model
