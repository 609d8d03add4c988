"""Which layers to reuse: by name, by pattern, or chosen by the shapes of their outputs."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.features import eval_mode, in_place_changes

Layers = Sequence[str] | Literal["auto"]


def choose_layers(model: nn.Module, layers: Layers, inputs: Tensor) -> list[str]:
    """Choose layers of a model by name, by pattern, or automatically.

    "auto" looks at the model's large parts in the order in which they run. It chooses the last part that gives maps,
    (N, C, H, W), and the last that gives vectors, (N, d). It does not choose the classifier, whose output is the model's.
    If no part gives vectors, maps of one pixel, (N, C, 1, 1), count as vectors: the pooling of torchvision's ResNets.

    Parameters
    ----------
    model : nn.Module
        Any network. It is not changed.
    layers : "auto" or sequence of str
        Names as in `model.named_modules()`, or patterns of them (`"layer[34]"`, `"blocks.*"`). A pattern chooses no
        submodule of a layer that it chose.
    inputs : Tensor
        A batch of the model. "auto" runs the model on it.

    Returns
    -------
    list of str
        In the order given. The layers of a pattern are in the model's own order.

    Raises
    ------
    BadArgument
        A pattern matches no layer, or "auto" finds none in this model.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 16), nn.Linear(16, 4))
    >>> choose_layers(model, "auto", torch.zeros(2, 3, 8, 8))
    ['1', '3']
    >>> choose_layers(model, ["[01]"], torch.zeros(2, 3, 8, 8))
    ['0', '1']
    """
    if layers == "auto":
        if chosen := list(automatic_layers(model, inputs).values()):
            return chosen
        raise BadArgument(
            f"layers = 'auto' finds no part of {type(model).__name__} that gives maps or vectors: name the layers"
        )
    if isinstance(layers, str):
        raise BadArgument(f"layers = {layers!r}: write 'auto', or a list of names or patterns")
    found: dict[str, None] = {}
    for pattern in layers:
        found.update(dict.fromkeys(_matching(model, pattern)))
    return list(found)


def automatic_layers(model: nn.Module, inputs: Tensor) -> dict[int, str]:
    """Choose layers as "auto" does: names by the order Q of their outputs (1: vectors, 3: maps), in running order."""
    runs, final = _record_outputs(model, _parts(model), inputs)
    shapes = {
        name: tuple(z.shape[1:])
        for name, ((z, version), *more) in runs.items()
        if not more and isinstance(z, Tensor) and z.dim() in (2, 4) and not _shares_memory(z, final)
        if in_place_changes(z) == version  # an output that is changed in place later cannot be read
    }
    last = {order: name for name, order in tensor_orders(shapes).items()}
    running_order = list(runs).index
    return dict(sorted(last.items(), key=lambda item: running_order(item[1])))


def tensor_orders(shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Give the order Q of each layer's output, from its shape without the batch.

    (C, 1, 1) counts as a vector, of order 1, if no layer has the shape (C,).

    Examples
    --------
    >>> tensor_orders({"layer4": (512, 2, 2), "avgpool": (512, 1, 1)})
    {'layer4': 3, 'avgpool': 1}
    >>> tensor_orders({"layer4": (512, 1, 1), "embedding": (512,)})
    {'layer4': 3, 'embedding': 1}
    """
    has_vectors = any(len(shape) == 1 for shape in shapes.values())
    return {name: 1 if is_vector(shape) and not has_vectors else len(shape) for name, shape in shapes.items()}


def is_vector(shape: Sequence[int]) -> bool:
    """Tell whether a shape, without the batch, is (C,) or (C, 1, 1)."""
    return len(shape) == 1 or (len(shape) == 3 and tuple(shape[1:]) == (1, 1))


def _matching(model: nn.Module, pattern: str) -> list[str]:
    if not any(wildcard in pattern for wildcard in "*?["):
        return [pattern]  # for a misspelt name, `Taps` raises an error that suggests similar ones
    chosen: list[str] = []
    for name, _ in model.named_modules():
        below = any(name.startswith(f"{above}.") for above in chosen)
        if name and not below and fnmatchcase(name, pattern):
            chosen.append(name)
    if not chosen:
        raise BadArgument(
            f"no layer of {type(model).__name__} fits the pattern {pattern!r}: give a name or a pattern of one"
        )
    return chosen


def _parts(model: nn.Module) -> dict[str, nn.Module]:
    """List the model's children by path. If there is only one child, a wrapper, list its children instead."""
    path, module = "", model
    while len(children := list(module.named_children())) == 1 and list(children[0][1].children()):
        path, module = f"{path}{children[0][0]}.", children[0][1]
    return {f"{path}{name}": child for name, child in children}


def _record_outputs(
    model: nn.Module, parts: dict[str, nn.Module], inputs: Tensor
) -> tuple[dict[str, list[Any]], list[Tensor]]:
    """Run the model once. Return each part's outputs with their in-place changes, in running order, and the final tensor."""
    runs: dict[str, list[Any]] = {}

    def record(name: str, output: object) -> None:
        runs.setdefault(name, []).append((output, in_place_changes(output)))

    def hook(name: str, module: nn.Module) -> Any:
        return module.register_forward_hook(lambda _module, _inputs, output: record(name, output))

    handles = [hook(name, module) for name, module in parts.items()]
    try:
        with eval_mode(model), torch.no_grad():
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


def _shares_memory(z: Tensor, final: list[Tensor]) -> bool:
    return any(z.data_ptr() == tensor.data_ptr() for tensor in final)
