"""Which layers to reuse: by name, by pattern, or chosen by what they put out."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.reuse.modes import evaluating

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
        maps, (N, C, H, W), and the last that gives vectors, (N, d), but for the classifier, which gives the output.
    inputs : Tensor
        A batch of the model, for "auto" to see what the layers put out.

    Returns
    -------
    list of str
        In the order in which they are named in the model.

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
        return _automatic(model, inputs)
    if isinstance(layers, str):
        raise BadArgument(f"layers = {layers!r}: write 'auto', or a list of names or patterns")
    found: dict[str, None] = {}
    for pattern in layers:
        found.update(dict.fromkeys(_fitting(model, pattern)))
    order = {name: place for place, (name, _) in enumerate(model.named_modules())}
    return sorted(found, key=lambda name: order.get(name, len(order)))


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


def _automatic(model: nn.Module, inputs: Tensor) -> list[str]:
    runs, final = _watched(model, _parts(model), inputs)
    last: dict[int, str] = {}
    for name, outputs in runs.items():
        z = outputs[0]
        if len(outputs) == 1 and isinstance(z, Tensor) and z.dim() in (2, 4) and not _shares(z, final):
            last[z.dim()] = name
    if not last:
        raise BadArgument(f"layers = 'auto' finds no map or vector among the parts of {type(model).__name__}: name some")
    order = list(runs)
    return sorted(last.values(), key=order.index)


def _parts(model: nn.Module) -> dict[str, nn.Module]:
    """The model's children; those of an only child instead of itself, since a wrapper has no stages."""
    path, module = "", model
    while len(children := list(module.named_children())) == 1 and list(children[0][1].children()):
        path, module = f"{path}{children[0][0]}.", children[0][1]
    return {f"{path}{name}": child for name, child in children}


def _watched(model: nn.Module, parts: dict[str, nn.Module], inputs: Tensor) -> tuple[dict[str, list[Any]], list[Tensor]]:
    """Run the model once; give what each part put out, in the order in which they ended, and the output's tensors."""
    runs: dict[str, list[Any]] = {}

    def watch(name: str, module: nn.Module) -> Any:
        return module.register_forward_hook(lambda _module, _inputs, output: runs.setdefault(name, []).append(output))

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
