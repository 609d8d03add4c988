"""A layer's output for samples, its BatchNorm statistics re-estimated per group (AdaBN)."""

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
from fedretina.features.modes import evaluating
from fedretina.features.taps import Taps

View = Callable[[Tensor], Tensor]
SMALLEST_GROUP = 32
"""A smaller group has the statistics of all samples."""


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
    """Give a layer's output for every sample, with BatchNorm statistics of the sample's own group.

    A group of fewer than 32 samples has the statistics of all samples. The model, its statistics included, is
    afterwards what it was.

    Parameters
    ----------
    model : nn.Module
        Any network, in any mode, on any device.
    inputs : Tensor
        All samples as they are stored, (N, ...): only a batch of them at a time is prepared and moved.
    layer : str
        Name of the submodule whose output is the embedding; dimensions after the second are averaged.
    groups : array of int, shape (N,), optional
        Where a sample comes from, such as its camera.
    prepare : callable, optional
        Makes the model's input of stored samples; nothing random.
    views : sequence of callables, optional
        Other views of a prepared batch, such as its mirror image; the embeddings of all views are averaged.
    adapt : bool, default True
        False keeps the model's own statistics.
    batch : int, default 256
        Samples at a time.

    Returns
    -------
    ndarray of float32, shape (N, d)
        Not normalised; what `Committee` takes.

    Raises
    ------
    BadArgument
        No samples, groups of another number, or as `Taps` and `adapt_batchnorm` raise.

    Examples
    --------
    >>> model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    >>> embed(model, torch.randn(100, 3), "1", groups=[0] * 60 + [1] * 40).shape
    (100, 2)
    """
    if not len(inputs):
        raise BadArgument("there is no sample to embed")
    batches = _Batches(inputs, prepare or _same, device_of(model), size=batch)
    groups_of = _groups(groups, len(inputs))
    found: list[NDArray[np.float32]] = []
    with _restoring_statistics(model):
        for members, basis in groups_of:
            if adapt:
                adapt_batchnorm(model, batches.of(basis))
            found.append(layer_features(model, layer, batches.of(members), views=views))
    order = np.argsort(np.concatenate([members for members, _ in groups_of]))
    return np.concatenate(found)[order]


@torch.no_grad()
def layer_features(
    model: nn.Module, layer: str, batches: Iterable[Tensor], *, views: Sequence[View] = ()
) -> NDArray[np.float32]:
    """Give a layer's output for every sample of some batches, with the model's own statistics.

    Parameters
    ----------
    model : nn.Module
        Any network, in any mode: it runs in eval mode.
    layer : str
        Name of the submodule; dimensions after the second are averaged.
    batches : iterable of Tensor
        Inputs of the model, on its device.
    views : sequence of callables, optional
        Other views of a batch, such as its mirror image; the outputs for the batch and all views are averaged.

    Returns
    -------
    ndarray of float32, shape (N, d)
        Not normalised.

    Raises
    ------
    BadArgument
        As `Taps` raises, or the layer gives no vector per sample.

    Examples
    --------
    >>> layer_features(nn.Sequential(nn.Linear(3, 2)), "0", [torch.zeros(4, 3), torch.zeros(1, 3)]).shape
    (5, 2)
    """
    with evaluating(model), Taps(model, [layer]) as taps:
        return np.concatenate([_mean_over_views(model, taps, batch, (_same, *views)) for batch in batches])


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a model's first parameter."""
    first = next(model.parameters(), None)
    return first.device if first is not None else torch.device("cpu")


class _Batches:
    """Prepares batches of samples that are named by their indices."""

    def __init__(self, inputs: Tensor, prepare: View, device: torch.device, *, size: int) -> None:
        self._inputs, self._prepare, self._device, self._size = inputs, prepare, device, size

    def of(self, members: NDArray[np.int64]) -> Iterator[Tensor]:
        """Prepare some samples in batches of about one size, as AdaBN wants them."""
        for part in np.array_split(members, max(1, round(len(members) / self._size))):
            yield self._prepare(self._inputs[torch.from_numpy(part)]).to(self._device)


def _mean_over_views(model: nn.Module, taps: Taps, batch: Tensor, views: Sequence[View]) -> NDArray[np.float32]:
    (layer,) = taps.layers
    total = torch.zeros(())
    for view in views:
        model(view(batch))
        z = taps.collect()[layer]
        if z.dim() < 2:
            raise BadArgument(f"layer {layer!r} gave {tuple(z.shape)}: tap one that gives a vector per sample")
        total = total + (z.flatten(2).mean(2) if z.dim() > 2 else z).float().cpu()
    return (total / len(views)).numpy()


def _same(part: Tensor) -> Tensor:
    return part


def _groups(groups: ArrayLike | None, samples: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """List the samples that share statistics, each time with the samples that the statistics are estimated on."""
    everyone = np.arange(samples)
    if groups is None:
        return [(everyone, everyone)]
    column = np.asarray(groups)
    if column.shape != (samples,):
        raise BadArgument(f"groups have the shape {column.shape}: give ({samples},), one per sample")
    numbers, counts = np.unique(column, return_inverse=True, return_counts=True)[1:]
    large = [np.flatnonzero(numbers == number) for number in np.flatnonzero(counts >= SMALLEST_GROUP)]
    small = np.flatnonzero(counts[numbers] < SMALLEST_GROUP)
    return [(members, members) for members in large] + ([(small, everyone)] if len(small) else [])


@contextmanager
def _restoring_statistics(model: nn.Module) -> Iterator[None]:
    """Give BatchNorm its statistics back at the end."""
    before = [(m, deepcopy(m.state_dict())) for m in model.modules() if isinstance(m, _BatchNorm)]
    try:
        yield
    finally:
        for norm, state in before:
            norm.load_state_dict(state)
