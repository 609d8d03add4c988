"""A model's features of the target's samples, its BatchNorm statistics re-estimated per group (AdaBN)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedretina.errors import BadArgument
from fedretina.reuse.adabn import adapt_batchnorm
from fedretina.reuse.modes import evaluating
from fedretina.reuse.taps import Taps

View = Callable[[Tensor], Tensor]
LEAST = 32


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
    places = _places(groups, len(inputs))
    reader = _Reader(model, layer, partial(_prepared, inputs, prepare or _same), views=(_same, *views), batch=batch)
    found: list[NDArray[np.float32]] = []
    with _kept(model):
        for members, beside in places:
            if adapt:
                adapt_batchnorm(model, reader.inputs(beside))
            found.append(reader.features(members))
    order = np.argsort(np.concatenate([members for members, _ in places]))
    return np.concatenate(found)[order]


class _Reader:
    """Runs a model over samples named by their indices."""

    def __init__(self, model: nn.Module, layer: str, prepared: View, *, views: Sequence[View], batch: int) -> None:
        self._model, self._layer, self._prepared, self._views, self._batch = model, layer, prepared, views, batch
        first = next(model.parameters(), None)
        self._device = first.device if first is not None else torch.device("cpu")

    def inputs(self, members: NDArray[np.int64]) -> Iterator[Tensor]:
        """Prepare the samples in batches of about one size, as AdaBN wants them."""
        for part in np.array_split(members, max(1, round(len(members) / self._batch))):
            yield self._prepared(torch.from_numpy(part)).to(self._device)

    @torch.no_grad()
    def features(self, members: NDArray[np.int64]) -> NDArray[np.float32]:
        with evaluating(self._model), Taps(self._model, [self._layer]) as taps:
            return np.concatenate([self._batch_features(taps, part) for part in self.inputs(members)])

    def _batch_features(self, taps: Taps, part: Tensor) -> NDArray[np.float32]:
        total = torch.zeros(())
        for view in self._views:
            self._model(view(part))
            z = taps.collect()[self._layer]
            if z.dim() < 2:
                raise BadArgument(f"layer {self._layer!r} gave {tuple(z.shape)}: tap one that gives a vector per sample")
            total = total + (z.flatten(2).mean(2) if z.dim() > 2 else z).float().cpu()
        return (total / len(self._views)).numpy()


def _prepared(stored: Tensor, prepare: View, members: Tensor) -> Tensor:
    return prepare(stored[members])


def _same(part: Tensor) -> Tensor:
    return part


def _places(groups: ArrayLike | None, samples: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """List the samples that share statistics, and beside them those that the statistics are estimated on."""
    everyone = np.arange(samples)
    if groups is None:
        return [(everyone, everyone)]
    column = np.asarray(groups)
    if column.shape != (samples,):
        raise BadArgument(f"groups have the shape {column.shape}: give ({samples},), one per sample")
    numbers, counts = np.unique(column, return_inverse=True, return_counts=True)[1:]
    large = [np.flatnonzero(numbers == number) for number in np.flatnonzero(counts >= LEAST)]
    small = np.flatnonzero(counts[numbers] < LEAST)
    return [(members, members) for members in large] + ([(small, everyone)] if len(small) else [])


@contextmanager
def _kept(model: nn.Module) -> Iterator[None]:
    """Give BatchNorm its statistics back at the end."""
    before = [(m, deepcopy(m.state_dict())) for m in model.modules() if isinstance(m, _BatchNorm)]
    try:
        yield
    finally:
        for norm, state in before:
            norm.load_state_dict(state)
