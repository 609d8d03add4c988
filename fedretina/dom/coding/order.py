"""Sort a tensor's values by a layout's codes, and undo it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.coding.layout import MAX_BLOCKS, axes_of, count_blocks, group_sizes, split_codes
from fedretina.dom.tensors import Array
from fedretina.errors import Corrupt

_MOVED = 2**15  # values that are moved at a time: their places take eight bytes each


@dataclass(frozen=True)
class _Columns:
    """For each value of an output channel: its block, its place there, and how many values of a channel the block has.

    `starts` tells by code where each of its blocks begins in the order.
    """

    blocks: NDArray[np.uint16]
    places: NDArray[np.intp]
    widths: NDArray[np.intp]
    starts: NDArray[np.intp]

    def strips(self, rows: Sequence[NDArray[np.intp]]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield output channels of one code, few enough for the cache, with the places of their values in the order."""
        most = max(1, _MOVED // max(self.blocks.size, 1))
        for channels, starts in zip(rows, self.starts, strict=True):
            first = starts.take(self.blocks) + self.places
            for done in range(0, channels.size, most):
                strip = channels[done : done + most]
                places = np.multiply.outer(np.arange(done, done + strip.size), self.widths)
                places += first
                yield strip, places.reshape(-1)


@dataclass(frozen=True)
class Order:
    """The order of a tensor's values by its channels' codes.

    Attributes
    ----------
    shape : tuple of int
        Output channels, and values of each.
    rows : tuple of ndarray
        The output channels of each code.
    columns : _Columns or None
        How each output channel is divided among blocks. None: it is not divided.
    groups : tuple of int
        How many values each group has.
    """

    shape: tuple[int, int]
    rows: tuple[NDArray[np.intp], ...]
    columns: _Columns | None
    groups: tuple[int, ...]

    def sort(self, values: Array) -> Array:
        """Return a tensor's values in this order, flat."""
        if self.columns is None:
            return values.reshape(self.shape).take(np.concatenate(self.rows), axis=0).reshape(-1)
        table, ordered = values.reshape(self.shape), np.empty(values.size, values.dtype)
        for channels, places in self.columns.strips(self.rows):
            ordered[places] = table[channels].reshape(-1)
        return ordered

    def unsort(self, ordered: Array) -> Array:
        """Return values that `sort` gave in the tensor's own order, flat."""
        table = np.empty(self.shape, ordered.dtype)
        if self.columns is None:
            table[np.concatenate(self.rows)] = ordered.reshape(self.shape)
            return table.reshape(-1)
        for channels, places in self.columns.strips(self.rows):
            table[channels] = ordered[places].reshape(channels.size, -1)
        return table.reshape(-1)


@dataclass(frozen=True)
class Sorting:
    """A layout and its channels' codes: what an order is made of."""

    layout: int
    codes: Array

    def order(self, shape: Sequence[int]) -> Order | None:
        """Return the order; None where values stay as they lie."""
        return order_of(self.codes, shape, self.layout) if self.layout else None


def order_of(codes: Array, shape: Sequence[int], layout: int) -> Order:
    """Return the order that a tensor's codes make; raise `Corrupt` if they make too many blocks."""
    axes = axes_of(shape)
    parts = split_codes(codes.astype(np.int16), axes, layout)
    if count_blocks(parts) > MAX_BLOCKS:
        raise Corrupt(f"a tensor's codes make more than {MAX_BLOCKS} blocks; drop the payload")
    runs = [_Runs.of(part) for part in parts]
    if layout == 1:  # blocks are runs of rows, by rising code
        groups = group_sizes(runs[0].codes, runs[0].sizes * math.prod(axes[1:]))
        return Order((axes[0], axes[1] * axes[2]), runs[0].members, None, groups)
    grid = np.indices([each.codes.size for each in runs]).reshape(layout, -1)
    codes_by_axis = [each.codes[at] for each, at in zip(runs, grid, strict=True)]
    classes = np.sum(codes_by_axis, axis=0)
    laid = np.lexsort((*reversed(codes_by_axis), classes))
    # The grid runs over the inner axes first: each run of rows has its blocks one after the other.
    widths = math.prod(axes[layout:]) * np.asarray(math.prod(np.ix_(*(each.sizes for each in runs[1:])))).reshape(-1)
    sizes = np.outer(runs[0].sizes, widths).reshape(-1)
    starts = np.empty_like(sizes)
    starts[laid] = np.cumsum(sizes[laid]) - sizes[laid]
    columns = _columns(runs[1:], axes, widths, starts.reshape(-1, widths.size))
    return Order((axes[0], axes[1] * axes[2]), runs[0].members, columns, group_sizes(classes[laid], sizes[laid]))


def _columns(
    runs: Sequence["_Runs"], axes: tuple[int, int, int], widths: NDArray[np.intp], starts: NDArray[np.intp]
) -> _Columns:
    """Return the columns of blocks by input channel, and by kernel position if there are runs of these."""
    blocks, places = runs[0].numbers[:, None], runs[0].places[:, None]
    if len(runs) == 1:
        blocks, places = np.repeat(blocks, axes[2], axis=1), axes[2] * places + np.arange(axes[2])
    else:
        kernel = runs[1]
        blocks = kernel.codes.size * blocks + kernel.numbers
        places = kernel.sizes.take(kernel.numbers) * places + kernel.places
    blocks = blocks.reshape(-1)
    return _Columns(blocks.astype(np.uint16), places.reshape(-1), widths.take(blocks), starts)


@dataclass(frozen=True)
class _Runs:
    """The channels of an axis by code: the codes, how many have each and which; each channel's run, and its place there."""

    codes: NDArray[np.int64]
    sizes: NDArray[np.int64]
    members: tuple[NDArray[np.intp], ...]
    numbers: NDArray[np.intp]
    places: NDArray[np.intp]

    @classmethod
    def of(cls, codes: Array) -> "_Runs":
        """Sort an axis by code, stably."""
        order = np.argsort(codes, kind="stable")
        ordered = codes[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
        sizes = np.diff(starts, append=codes.size)
        numbers, places = np.empty_like(order), np.empty_like(order)
        numbers[order] = np.repeat(np.arange(starts.size), sizes)
        places[order] = np.arange(codes.size) - np.repeat(starts, sizes)
        members = tuple(order[start : start + size] for start, size in zip(starts.tolist(), sizes.tolist(), strict=True))
        return cls(ordered[starts].astype(np.int64), sizes, members, numbers, places)
