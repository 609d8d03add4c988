"""Which layers to reuse: by name, by pattern, or chosen by what they put out."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features.modes import evaluating
from fedretina.features.taps import version_of

Layers = Sequence[str] | Literal["auto"]


def choose_layers(model: nn.Module, layers: Layers, inputs: Tensor) -> list[str]:
    """Name the layers that are meant.

    Parameters
    ----------
    model : nn.Module
        Any network; left as it was.
    layers : "auto" or sequence of str
        Names as in `model.named_modules()`; patterns of them (`"layer[34]"`, `"blocks.*"`), which also choose nothing below
        what they chose; or "auto": of the large parts of the model, in the order in which they run, the last that gives
        maps, (N, C, H, W), and the last that gives vectors, (N, d), but for the classifier, which gives the output. Where
        no part gives those, maps of one pixel, (N, C, 1, 1), are the vectors, as after the pooling of torchvision's ResNets.
    inputs : Tensor
        A batch of the model, for "auto" to see what the layers put out.

    Returns
    -------
    list of str
        In the order given; those of a pattern in the order in which they are named in the model.

    Raises
    ------
    BadArgument
        A pattern that fits no layer, or a model in which "auto" finds none.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 16), nn.Linear(16, 4))
    >>> choose_layers(model, "auto", torch.zeros(2, 3, 8, 8))
    ['1', '3']
    >>> choose_layers(model, ["[01]"], torch.zeros(2, 3, 8, 8))
    ['0', '1']
    """
    if layers == "auto":
        if last := list(automatic(model, inputs).values()):
            return last
        raise BadArgument(
            f"layers = 'auto' finds no map or vector to tap among the parts of {type(model).__name__}: name some"
        )
    if isinstance(layers, str):
        raise BadArgument(f"layers = {layers!r}: write 'auto', or a list of names or patterns")
    found: dict[str, None] = {}
    for pattern in layers:
        found.update(dict.fromkeys(_fitting(model, pattern)))
    return list(found)


def automatic(model: nn.Module, inputs: Tensor) -> dict[int, str]:
    """Name what "auto" chooses by its order Q, 1 for vectors and 3 for maps; as it runs."""
    runs, final = _watched(model, _parts(model), inputs)
    shapes = {
        name: tuple(z.shape[1:])
        for name, ((z, version), *more) in runs.items()
        if not more and isinstance(z, Tensor) and z.dim() in (2, 4) and not _shares(z, final)
        if version_of(z) == version  # what is changed in place later cannot be tapped
    }
    last = {order: name for name, order in orders(shapes).items()}
    place = list(runs).index
    return dict(sorted(last.items(), key=lambda item: place(item[1])))


def orders(shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Give the order Q of each layer, by its shape without the batch: (C, 1, 1) is a vector where no other layer is.

    Examples
    --------
    >>> orders({"layer4": (512, 2, 2), "avgpool": (512, 1, 1)})
    {'layer4': 3, 'avgpool': 1}
    >>> orders({"layer4": (512, 1, 1), "embedding": (512,)})
    {'layer4': 3, 'embedding': 1}
    """
    plain = any(len(shape) == 1 for shape in shapes.values())
    return {name: 1 if is_vector(shape) and not plain else len(shape) for name, shape in shapes.items()}


def is_vector(shape: Sequence[int]) -> bool:
    """Say whether a shape, without the batch, is that of a vector: (C,), or (C, 1, 1)."""
    return len(shape) == 1 or (len(shape) == 3 and tuple(shape[1:]) == (1, 1))


def _fitting(model: nn.Module, pattern: str) -> list[str]:
    if not any(sign in pattern for sign in "*?["):
        return [pattern]  # `Taps` tells what is near a misspelt name
    chosen: list[str] = []
    for name, _ in model.named_modules():
        below = any(name.startswith(f"{above}.") for above in chosen)
        if name and not below and fnmatchcase(name, pattern):
            chosen.append(name)
    if not chosen:
        raise BadArgument(f"no layer of {type(model).__name__} fits the pattern {pattern!r}")
    return chosen


def _parts(model: nn.Module) -> dict[str, nn.Module]:
    """The model's children; those of an only child instead of itself, since a wrapper has no stages."""
    path, module = "", model
    while len(children := list(module.named_children())) == 1 and list(children[0][1].children()):
        path, module = f"{path}{children[0][0]}.", children[0][1]
    return {f"{path}{name}": child for name, child in children}


def _watched(model: nn.Module, parts: dict[str, nn.Module], inputs: Tensor) -> tuple[dict[str, list[Any]], list[Tensor]]:
    """Run the model once; give each part's outputs and their versions, as the parts ended, and the output's tensors."""
    runs: dict[str, list[Any]] = {}

    def record(name: str, output: object) -> None:
        runs.setdefault(name, []).append((output, version_of(output)))

    def watch(name: str, module: nn.Module) -> Any:
        return module.register_forward_hook(lambda _module, _inputs, output: record(name, output))

    handles = [watch(name, module) for name, module in parts.items()]
    try:
        with evaluating(model), torch.no_grad():
            output = model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    tensors = [output] if isinstance(output, Tensor) else [part for part in _values(output) if isinstance(part, Tensor)]
    return runs, tensors[-1:] if len(tensors) > 1 else tensors


def _values(output: object) -> list[Any]:
    if isinstance(output, dict):
        return list(output.values())
    return list(output) if isinstance(output, tuple | list) else []


def _shares(z: Tensor, final: list[Tensor]) -> bool:
    return any(z.data_ptr() == tensor.data_ptr() for tensor in final)
