"""Taps: read the hidden representations Z^h of any network (Eq. 1)."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fedretina.errors import BadArgument
from fedretina.features.modes import evaluating

SHOWN = 40
"""At most so many available layers are listed in an error: a ResNet-50 has more than 150."""


class Taps:
    """Record the outputs of named submodules while a model runs.

    Nothing is detached: gradients flow through what is collected. Run sources under `torch.no_grad()`.
    The model itself is not changed; `close()`, or the end of the `with` block, removes the hooks.

    Parameters
    ----------
    model : nn.Module
        Any network, in any mode.
    layers : sequence of str
        Names as in `model.named_modules()`, for instance `["layer3", "embedding"]`.

    Raises
    ------
    BadArgument
        No layer is named, one is named twice, or the model has no layer of that name.

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
            self._outputs[name].append((output, version_of(output)))

        return module.register_forward_hook(record)

    def collect(self) -> dict[str, Tensor]:
        """Take what the layers have put out since the last call, and forget it.

        Returns
        -------
        dict of str to Tensor
            Per layer the output of its one run, with its graph: (N, d_1, ..., d_Q).

        Raises
        ------
        BadArgument
            A layer was not run, ran twice, returned no tensor, or its output was changed in place later on.
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


def shapes(model: nn.Module, layers: Sequence[str], inputs: Tensor) -> dict[str, torch.Size]:
    """Run a model once, in eval mode, to see the shapes of its layers' outputs, without the batch.

    Examples
    --------
    >>> shapes(nn.Sequential(nn.Linear(4, 3)), ["0"], torch.ones(2, 4))
    {'0': torch.Size([3])}
    """
    return {name: z.shape[1:] for name, z in layer_outputs(model, layers, inputs).items()}


def layer_outputs(
    model: nn.Module, layers: Sequence[str], inputs: Tensor, *, run: Callable[[nn.Module, Tensor], Any] = nn.Module.__call__
) -> dict[str, Tensor]:
    """Give the outputs of a model's layers for a batch, in eval mode and without gradients.

    Parameters
    ----------
    model : nn.Module
        In any mode; it is afterwards in the same.
    layers : sequence of str
        As for `Taps`.
    inputs : Tensor
        (N, ...).
    run : callable, optional
        Runs the model on the inputs, for instance under autocast.

    Examples
    --------
    >>> layer_outputs(nn.Sequential(nn.Linear(4, 3)), ["0"], torch.ones(2, 4))["0"].shape
    torch.Size([2, 3])
    """
    with evaluating(model), torch.no_grad(), Taps(model, layers) as taps:
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
    near = get_close_matches(name, available)
    guess = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    rest = f" and {len(available) - SHOWN} more" if len(available) > SHOWN else ""
    return f"{model} has no layer {name!r}: {guess}It has {', '.join(available[:SHOWN])}{rest}"


def version_of(output: object) -> int:
    """Count what was changed in place in an output so far."""
    # torch counts a tensor's in-place changes, except for those made in inference mode.
    return output._version if isinstance(output, Tensor) and not output.is_inference() else 0


def _only_output(name: str, runs: list[tuple[object, int]]) -> Tensor:
    if not runs:
        raise BadArgument(f"layer {name!r} was not run since the last collect(): run the model first")
    if len(runs) > 1:
        raise BadArgument(
            f"layer {name!r} ran {len(runs)} times since the last collect(): collect after each run of the "
            f"model, and tap a layer that the model uses once"
        )
    output, version = runs[0]
    if not isinstance(output, Tensor):
        raise BadArgument(f"layer {name!r} returned a {type(output).__name__}, not a tensor: tap another")
    if version_of(output) != version:
        raise BadArgument(
            f"a later module changed the output of layer {name!r} in place: tap that module, or make it inplace=False"
        )
    return output
