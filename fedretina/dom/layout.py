"""In which order a tensor's integers are coded: values of like spread together.

The size of a difference is nearly (output channel's scale) x (input channel's) x (kernel position's). The scales travel
coarsely (quarters of an octave, one byte each). Both ends derive the same order from them: channels of one scale are
brought together, which makes blocks of equal class (the sum of the codes), and the blocks are laid out by class. Groups of
neighbouring classes then have statistics of their own. Moving blocks is several times faster than sorting values.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.tensors import Array
from fedretina.errors import Corrupt

PLAIN = 0
LAYOUTS = ("plain", "by out", "by out x in", "by out x in x kernel")
SORTABLE = 8192
_GROUP = 8192
_MOST_GROUPS = 32
_CODES_PER_OCTAVE = 4.0
MOST_BLOCKS = 1024
_STRIP = 2**18  # values that are moved at once
_LOOKED_AT = 512  # values a channel that its scale is estimated from


@dataclass(frozen=True)
class _Rows:
    """Output channels of one code, and their blocks: where each starts in the order, its size a channel, what it holds."""

    channels: NDArray[np.intp]
    blocks: tuple[tuple[int, int, tuple[slice, ...]], ...]


@dataclass(frozen=True)
class Order:
    """The order that codes make: the permutations of the inner axes, the blocks by rows, and the sizes of the groups."""

    axes: tuple[int, int, int]
    inner: tuple[NDArray[np.intp], ...]
    rows: tuple[_Rows, ...]
    groups: tuple[int, ...]

    def sort(self, values: Array) -> Array:
        """Return a tensor's values, given flat in their own order, in this one."""
        cube, ordered = values.reshape(self.axes), np.empty(values.size, values.dtype)
        for channels, blocks in self._strips():
            part = np.take(cube, channels, axis=0)
            for axis, permutation in enumerate(self.inner, start=1):
                part = np.take(part, permutation, axis=axis)
            for start, block in blocks:
                chosen = part[block]
                ordered[start : start + chosen.size].reshape(chosen.shape)[...] = chosen
        return ordered

    def unsort(self, ordered: Array) -> Array:
        """Return the values in their own order, flat: the inverse of `sort`."""
        cube = np.empty(self.axes, ordered.dtype)
        backwards = [np.argsort(permutation) for permutation in self.inner]
        for channels, blocks in self._strips():
            part = np.empty((channels.size, *self.axes[1:]), ordered.dtype)
            for start, block in blocks:
                chosen = part[block]
                chosen[...] = ordered[start : start + chosen.size].reshape(chosen.shape)
            for axis, permutation in enumerate(backwards, start=1):
                part = np.take(part, permutation, axis=axis)
            cube[channels] = part
        return cube.reshape(-1)

    def _strips(self) -> Iterator[tuple[NDArray[np.intp], list[tuple[int, tuple[slice, ...]]]]]:
        """Yield output channels of one code, few enough for the cache, with the starts of their blocks in the order."""
        width = math.prod(self.axes[1:])
        most = max(1, _STRIP // max(width, 1))
        for rows in self.rows:
            for first in range(0, rows.channels.size, most):
                channels = rows.channels[first : first + most]
                yield channels, [(start + first * size, block) for start, size, block in rows.blocks]


@dataclass(frozen=True)
class Sorting:
    """A layout and its channels' codes: what an order is made of."""

    layout: int
    codes: Array

    def order(self, shape: Sequence[int]) -> Order | None:
        """Return the order; None where values stay as they lie."""
        return order_of(self.codes, shape, self.layout) if self.layout else None


def is_sortable(shape: Sequence[int], count: int) -> bool:
    """Return whether a tensor has channels, and enough values for groups."""
    return len(shape) >= 2 and count >= SORTABLE


def spreads(sizes: Any, shape: Sequence[int], layout: int = 3) -> list[NDArray[np.float64]]:
    """Return the mean size of each channel's values, as octaves, for the axes that a layout sorts by.

    `sizes` are the values (their sign does not matter), flat, in the tensor's own order.
    """
    cube = sizes.reshape(_axes(shape))
    octaves = []
    for axis in range(layout):
        rows = np.moveaxis(cube, axis, 0)
        part = rows[_spread_over(rows.shape[1:])].reshape(rows.shape[0], -1)
        octaves.append(np.log2(np.abs(part.astype(np.float32)).mean(axis=1) + np.float32(2.0**-16)).astype(np.float64))
    return octaves


def codes_of(octaves: Sequence[NDArray[np.float64]]) -> NDArray[np.int8]:
    """Return one code per channel, concatenated; coarser ones where they would make too many blocks."""
    fineness = _CODES_PER_OCTAVE
    while True:
        codes = [np.clip(np.rint(fineness * each), -127, 127).astype(np.int8) for each in octaves]
        if _count_blocks(codes) <= MOST_BLOCKS:
            return np.concatenate(codes)
        fineness /= 2


def count_codes(shape: Sequence[int], layout: int) -> int:
    """Return how many codes a layout has."""
    return sum(_axes(shape)[:layout])


def order_of(codes: Array, shape: Sequence[int], layout: int) -> Order:
    """Return the order that a tensor's codes make; raise `Corrupt` if they make too many blocks."""
    axes = _axes(shape)
    parts = np.split(codes.astype(np.int16), np.cumsum(axes[: layout - 1]))
    if _count_blocks(parts) > MOST_BLOCKS:
        raise Corrupt(f"a tensor's codes make more than {MOST_BLOCKS} blocks; drop the payload")
    permutations = [np.argsort(part, kind="stable") for part in parts]
    runs = [_Runs.of(part[permutation]) for part, permutation in zip(parts, permutations, strict=True)]
    grid = np.indices([each.codes.size for each in runs]).reshape(layout, -1)
    codes_by_axis = [each.codes[at] for each, at in zip(runs, grid, strict=True)]
    classes = np.sum(codes_by_axis, axis=0)
    laid = np.lexsort((*reversed(codes_by_axis), classes))
    sizes = math.prod(axes[layout:]) * np.prod([each.sizes[at] for each, at in zip(runs, grid, strict=True)], axis=0)
    starts = np.empty_like(sizes)
    starts[laid] = np.cumsum(sizes[laid]) - sizes[laid]
    # The grid runs over the inner axes first: each run of rows has its blocks one after the other.
    inner = [(slice(None), *at) for at in product(*(each.slices for each in runs[1:]))]
    per_channel = (sizes // runs[0].sizes[grid[0]]).reshape(len(runs[0].slices), -1)
    rows = tuple(
        _Rows(permutations[0][at], tuple(zip(own.tolist(), each.tolist(), inner, strict=True)))
        for at, own, each in zip(runs[0].slices, starts.reshape(per_channel.shape), per_channel, strict=True)
    )
    return Order(axes, tuple(permutations[1:]), rows, _groups(classes[laid], sizes[laid]))


def _count_blocks(codes: Sequence[Array]) -> int:
    return math.prod(np.unique(part).size for part in codes)


@dataclass(frozen=True)
class _Runs:
    """The runs of equal codes along an axis whose channels are sorted by code."""

    codes: NDArray[np.int64]
    sizes: NDArray[np.int64]
    slices: list[slice]

    @classmethod
    def of(cls, codes: Array) -> "_Runs":
        """Find the runs."""
        starts = np.flatnonzero(np.diff(codes, prepend=codes[:1] - 1))
        ends = [*starts[1:].tolist(), codes.size]
        slices = [slice(start, end) for start, end in zip(starts.tolist(), ends, strict=True)]
        return cls(codes[starts].astype(np.int64), np.diff([*starts, codes.size]), slices)


def _groups(classes: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the sizes of the groups: whole classes, as many as reach the least size; the last one takes what is left."""
    least = max(_GROUP, int(sizes.sum()) // _MOST_GROUPS)
    groups: list[int] = []
    size = 0
    for own in np.add.reduceat(sizes, np.flatnonzero(np.diff(classes, prepend=classes[0] - 1))).tolist():
        size += own
        if size >= least:
            groups.append(size)
            size = 0
    if size and groups:
        groups[-1] += size
    elif size:
        groups.append(size)
    return tuple(groups)


def _axes(shape: Sequence[int]) -> tuple[int, int, int]:
    kernel = 1
    for size in shape[2:]:
        kernel *= size
    return shape[0], shape[1], kernel


def _spread_over(axes: tuple[int, ...]) -> tuple[slice, ...]:
    """Return slices that leave about `_LOOKED_AT` of the values of a channel, spread over both axes."""
    first = max(1, axes[0] * min(axes[1], _LOOKED_AT) // _LOOKED_AT)
    second = max(1, axes[1] // _LOOKED_AT) if axes[0] == 1 or axes[1] > _LOOKED_AT else 1
    return slice(None), slice(None, None, first), slice(None, None, second)
