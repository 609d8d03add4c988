"""Embeddings: a layer's output for every sample, with BatchNorm statistics re-estimated per group (AdaBN)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedretina.errors import BadArgument
from fedretina.features.adabn import adapt_batchnorm
from fedretina.features.modes import eval_mode
from fedretina.features.taps import Taps

View = Callable[[Tensor], Tensor]
SMALLEST_GROUP = 32
"""Samples. A smaller group gets the statistics of all samples."""


def embed(
    model: nn.Module,
    inputs: Tensor,
    layer: str,
    *,
    groups: ArrayLike | None = None,
    prepare: View | None = None,
    views: Sequence[View] = (),
    adapt: bool = True,
    batch: int = 256,
) -> NDArray[np.float32]:
    """Compute a layer's output for every sample, with BatchNorm statistics of the sample's own group.

    A group of fewer than 32 samples gets the statistics of all samples. The model and its statistics are restored at
    the end.

    Parameters
    ----------
    model : nn.Module
        Any network, in any mode, on any device.
    inputs : Tensor
        All samples as stored, (N, ...). Only one batch at a time is prepared and moved to the model's device.
    layer : str
        Name of the submodule whose output is the embedding. Dimensions after the second are averaged.
    groups : array of int, shape (N,), optional
        The origin of each sample, such as its camera. Default: all samples are one group.
    prepare : callable, optional
        Turns stored samples into the model's input. It must be deterministic. Default: samples are used as stored.
    views : sequence of callables, optional
        Other views of a prepared batch, such as its mirror image. The embeddings of all views are averaged.
    adapt : bool, default True
        Whether to re-estimate the statistics. False uses the model's own.
    batch : int, default 256
        Samples per batch.

    Returns
    -------
    ndarray of float32, shape (N, d)
        The embeddings, not normalised. `fedretina.reuse.Committee` takes them as they are.

    Raises
    ------
    BadArgument
        There are no samples, or `groups` has another length. Also whatever `Taps` and `adapt_batchnorm` raise.

    Examples
    --------
    >>> model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    >>> embed(model, torch.randn(100, 3), "1", groups=[0] * 60 + [1] * 40).shape
    (100, 2)
    """
    if not len(inputs):
        raise BadArgument("inputs has no samples: give at least one")
    batches = _Batches(inputs, prepare or _unchanged, _device_of(model), size=batch)
    members_and_basis = _groups(groups, len(inputs))
    features: list[NDArray[np.float32]] = []
    with _restoring_statistics(model):
        for members, basis in members_and_basis:
            if adapt:
                adapt_batchnorm(model, batches.draw(basis))
            features.append(layer_features(model, layer, batches.draw(members), views=views))
    order = np.argsort(np.concatenate([members for members, _ in members_and_basis]))
    return np.concatenate(features)[order]


@torch.no_grad()
def layer_features(
    model: nn.Module, layer: str, batches: Iterable[Tensor], *, views: Sequence[View] = ()
) -> NDArray[np.float32]:
    """Compute a layer's output for every sample of the given batches, with the model's own statistics.

    Parameters
    ----------
    model : nn.Module
        Any network. It runs in eval mode; its modes are restored at the end.
    layer : str
        Name of the submodule. Dimensions after the second are averaged.
    batches : iterable of Tensor
        Inputs of the model, on its device.
    views : sequence of callables, optional
        Other views of a batch, such as its mirror image. The outputs for the batch and all views are averaged.

    Returns
    -------
    ndarray of float32, shape (N, d)
        The features, not normalised.

    Raises
    ------
    BadArgument
        The layer's output is not a vector per sample. Also whatever `Taps` raises.

    Examples
    --------
    >>> layer_features(nn.Sequential(nn.Linear(3, 2)), "0", [torch.zeros(4, 3), torch.zeros(1, 3)]).shape
    (5, 2)
    """
    with eval_mode(model), Taps(model, [layer]) as taps:
        return np.concatenate([_mean_over_views(model, taps, batch, (_unchanged, *views)) for batch in batches])


def _device_of(model: nn.Module) -> torch.device:
    """Return the device of a model's first parameter, the CPU if it has none."""
    first = next(model.parameters(), None)
    return first.device if first is not None else torch.device("cpu")


class _Batches:
    """Draws prepared batches of samples, by their indices."""

    def __init__(self, inputs: Tensor, prepare: View, device: torch.device, *, size: int) -> None:
        self._inputs, self._prepare, self._device, self._size = inputs, prepare, device, size

    def draw(self, members: NDArray[np.int64]) -> Iterator[Tensor]:
        """Prepare the given samples in batches of nearly equal size, which AdaBN weighs equally."""
        for part in np.array_split(members, max(1, round(len(members) / self._size))):
            yield self._prepare(self._inputs[torch.from_numpy(part)]).to(self._device)


def _mean_over_views(model: nn.Module, taps: Taps, batch: Tensor, views: Sequence[View]) -> NDArray[np.float32]:
    (layer,) = taps.layers
    total = torch.zeros(())
    for view in views:
        model(view(batch))
        z = taps.collect()[layer]
        if z.dim() < 2:
            raise BadArgument(
                f"layer {layer!r} gave the shape {tuple(z.shape)}: name one that gives a vector per sample, (N, d)"
            )
        total = total + (z.flatten(2).mean(2) if z.dim() > 2 else z).float().cpu()
    return (total / len(views)).numpy()


def _unchanged(batch: Tensor) -> Tensor:
    return batch


def _groups(groups: ArrayLike | None, samples: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """List pairs: samples that share statistics, and the samples on which these statistics are estimated."""
    everything = np.arange(samples)
    if groups is None:
        return [(everything, everything)]
    column = np.asarray(groups)
    if column.shape != (samples,):
        raise BadArgument(f"groups have the shape {column.shape}: give ({samples},), one number per sample")
    numbers, counts = np.unique(column, return_inverse=True, return_counts=True)[1:]
    large = [np.flatnonzero(numbers == number) for number in np.flatnonzero(counts >= SMALLEST_GROUP)]
    small = np.flatnonzero(counts[numbers] < SMALLEST_GROUP)
    return [(members, members) for members in large] + ([(small, everything)] if len(small) else [])


@contextmanager
def _restoring_statistics(model: nn.Module) -> Iterator[None]:
    """Restore BatchNorm's statistics at the end."""
    before = [(m, deepcopy(m.state_dict())) for m in model.modules() if isinstance(m, _BatchNorm)]
    try:
        yield
    finally:
        for norm, state in before:
            norm.load_state_dict(state)
