"""Taps: read the hidden representations Z^h of any network (Eq. 1)."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fedretina.errors import BadArgument
from fedretina.features.modes import eval_mode

MAX_LISTED = 40
"""Layers that an error lists at most: a ResNet-50 has more than 150."""


class Taps:
    """Record the outputs of named submodules while a model runs.

    The outputs are not detached: gradients flow through them. Run sources under `torch.no_grad()`.
    The model itself is not changed. `close()`, or the end of the `with` block, removes the hooks.

    Parameters
    ----------
    model : nn.Module
        Any network, in any mode.
    layers : sequence of str
        Names as in `model.named_modules()`, for instance `["layer3", "embedding"]`.

    Raises
    ------
    BadArgument
        No layer is named, a layer is named twice, or the model has no layer of that name.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    >>> with Taps(model, ["1"]) as taps:
    ...     y = model(torch.ones(5, 4))
    ...     z = taps.collect()
    >>> z["1"].shape
    torch.Size([5, 3])
    """

    def __init__(self, model: nn.Module, layers: Sequence[str]) -> None:
        self.layers = _check_layers(model, layers)
        self._outputs: dict[str, list[tuple[object, int]]] = {name: [] for name in self.layers}
        self._handles = [self._tap(model.get_submodule(name), name) for name in self.layers]

    def _tap(self, module: nn.Module, name: str) -> RemovableHandle:
        def record(_module: nn.Module, _inputs: object, output: object) -> None:
            self._outputs[name].append((output, in_place_changes(output)))

        return module.register_forward_hook(record)

    def collect(self) -> dict[str, Tensor]:
        """Return the layers' outputs since the last call, and drop them here.

        Returns
        -------
        dict of str to Tensor
            The output of each layer, (N, d_1, ..., d_Q), with its autograd graph.

        Raises
        ------
        BadArgument
            A layer did not run, ran twice, or returned no tensor; or its output was changed in place later.
        """
        runs = self._outputs
        self._outputs = {name: [] for name in self.layers}
        return {name: _only_output(name, runs[name]) for name in self.layers}

    def close(self) -> None:
        """Remove the hooks; a second call does nothing."""
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def layer_shapes(model: nn.Module, layers: Sequence[str], inputs: Tensor) -> dict[str, torch.Size]:
    """Run a model once in eval mode and give the shapes of its layers' outputs, without the batch dimension.

    Parameters
    ----------
    model : nn.Module
        In any mode; its modes are restored.
    layers : sequence of str
        As for `Taps`.
    inputs : Tensor
        A batch, (N, ...), on the model's device.

    Examples
    --------
    >>> layer_shapes(nn.Sequential(nn.Linear(4, 3)), ["0"], torch.ones(2, 4))
    {'0': torch.Size([3])}
    """
    return {name: z.shape[1:] for name, z in layer_outputs(model, layers, inputs).items()}


def layer_outputs(
    model: nn.Module, layers: Sequence[str], inputs: Tensor, *, run: Callable[[nn.Module, Tensor], Any] = nn.Module.__call__
) -> dict[str, Tensor]:
    """Compute the outputs of a model's layers for a batch, in eval mode and without gradients.

    Parameters
    ----------
    model : nn.Module
        In any mode; its modes are restored.
    layers : sequence of str
        As for `Taps`.
    inputs : Tensor
        A batch, (N, ...), on the model's device.
    run : callable, optional
        Calls the model on the inputs, for instance under autocast. Default: a plain call.

    Examples
    --------
    >>> layer_outputs(nn.Sequential(nn.Linear(4, 3)), ["0"], torch.ones(2, 4))["0"].shape
    torch.Size([2, 3])
    """
    with eval_mode(model), torch.no_grad(), Taps(model, layers) as taps:
        run(model, inputs)
        return taps.collect()


def _check_layers(model: nn.Module, layers: Sequence[str]) -> tuple[str, ...]:
    if isinstance(layers, str) or not layers:
        raise BadArgument(f"layers must be a list of layer names, not {layers!r}: write ['name', ...]")
    if len(set(layers)) < len(layers):
        raise BadArgument(f"a layer is named twice in {list(layers)}: name each once")
    available = [name for name, _ in model.named_modules() if name]
    for name in layers:
        if name not in available:
            raise BadArgument(_unknown(name, type(model).__name__, available))
    return tuple(layers)


def _unknown(name: str, model: str, available: list[str]) -> str:
    similar = get_close_matches(name, available)
    guess = f"did you mean {' or '.join(map(repr, similar))}? " if similar else ""
    rest = f" and {len(available) - MAX_LISTED} more" if len(available) > MAX_LISTED else ""
    return f"{model} has no layer {name!r}: {guess}It has {', '.join(available[:MAX_LISTED])}{rest}"


def in_place_changes(output: object) -> int:
    """Count the in-place changes of a layer's output so far; 0 if it is not a tensor."""
    # torch counts a tensor's in-place changes, except for those made in inference mode.
    return output._version if isinstance(output, Tensor) and not output.is_inference() else 0


def _only_output(name: str, runs: list[tuple[object, int]]) -> Tensor:
    if not runs:
        raise BadArgument(f"layer {name!r} was not run since the last collect(): run the model first")
    if len(runs) > 1:
        raise BadArgument(
            f"layer {name!r} ran {len(runs)} times since the last collect(): collect after each run of the "
            f"model, and name a layer that the model uses once"
        )
    output, version = runs[0]
    if not isinstance(output, Tensor):
        raise BadArgument(f"layer {name!r} returned a {type(output).__name__}, not a tensor: name another layer")
    if in_place_changes(output) != version:
        raise BadArgument(
            f"a later module changed the output of layer {name!r} in place: name that module, or make it inplace=False"
        )
    return output
