"""Build a re-ID model: a network, a head on it, and weights of a file."""

from pathlib import Path

from torch import nn

from fedretina.errors import BadArgument
from fedretina.reid.heads import HEADS, Head
from fedretina.reid.networks import NETWORKS, Body
from fedretina.reid.weights import load_weights, read_weights

MODELS = tuple(NETWORKS)
"""The names that `build` knows."""

_SMALLEST_SIDE = 16  # below this the ResNets' strides leave no pixel to pool


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
        raise BadArgument(f"model {name!r} needs images of {_SMALLEST_SIDE} pixels a side or more: {height} x {width}")
    if head not in HEADS:
        raise BadArgument(f"head {head!r} is unknown: use one of {', '.join(HEADS)}")
    if last_stride not in (1, 2):
        raise BadArgument(f"last stride {last_stride}: 1 or 2 is allowed")
    body = NETWORKS[name](classes, last_stride=last_stride)
    if not str(weights):
        return HEADS[head].attach(body, classes)
    return _loaded(body, HEADS[head], classes, Path(weights).expanduser())


def _loaded(body: Body, head: Head, classes: int, file: Path) -> nn.Module:
    """Put a head on a network, and load a file that was saved with that head, or without it."""
    given = read_weights(file)
    saved_with_head = head.is_in(given)
    if not saved_with_head:
        load_weights(body, given, file)  # before the head takes the place of what the file has too
    model = head.attach(body, classes)
    if saved_with_head:
        load_weights(model, given, file)
    return model
