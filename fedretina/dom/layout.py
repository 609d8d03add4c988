"""In which order a tensor's integers are coded: values of like spread together.

The size of a difference is nearly (output channel's scale) x (input channel's) x (kernel position's). The scales travel
coarsely (quarters of an octave, one byte each). Both ends derive the same order from them: channels of one scale are
brought together, which makes blocks of equal class (the sum of the codes), and the blocks are laid out by class. Groups of
neighbouring classes then have statistics of their own. Moving blocks is several times faster than sorting values.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product

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
_STRIP = 2**17  # values that are moved at once


@dataclass(frozen=True)
class _Rows:
    """Output channels of one code, and their blocks: where each starts in the order, and what it holds of a channel."""

    channels: NDArray[np.intp]
    blocks: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Order:
    """The order that codes make.

    A channel's values are brought into the order `inner` (none: they lie right), in which every block is a range of them;
    `rows` says where the ranges go, `groups` are the sizes of the groups.
    """

    shape: tuple[int, int]
    inner: NDArray[np.intp] | None
    rows: tuple[_Rows, ...]
    groups: tuple[int, ...]

    def sort(self, values: Array) -> Array:
        """Return a tensor's values, given flat in their own order, in this one."""
        table, ordered = values.reshape(self.shape), np.empty(values.size, values.dtype)
        for channels, blocks in self._strips():
            part = table[channels]
            if self.inner is not None:
                part = part[:, self.inner]
            for start, first, end in blocks:
                size = (end - first) * channels.size
                ordered[start : start + size].reshape(channels.size, -1)[...] = part[:, first:end]
        return ordered

    def unsort(self, ordered: Array) -> Array:
        """Return the values in their own order, flat: the inverse of `sort`."""
        table = np.empty(self.shape, ordered.dtype)
        back = None if self.inner is None else np.argsort(self.inner)
        for channels, blocks in self._strips():
            part = np.empty((channels.size, self.shape[1]), ordered.dtype)
            for start, first, end in blocks:
                size = (end - first) * channels.size
                part[:, first:end] = ordered[start : start + size].reshape(channels.size, -1)
            table[channels] = part if back is None else part[:, back]
        return table.reshape(-1)

    def _strips(self) -> Iterator[tuple[NDArray[np.intp], list[tuple[int, int, int]]]]:
        """Yield output channels of one code, few enough for the cache, with the starts of their blocks in the order."""
        most = max(1, _STRIP // max(self.shape[1], 1))
        for rows in self.rows:
            for done in range(0, rows.channels.size, most):
                channels = rows.channels[done : done + most]
                yield channels, [(start + done * (end - first), first, end) for start, first, end in rows.blocks]


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


def spreads(values: Array, shape: Sequence[int], layout: int = 3) -> list[NDArray[np.float64]]:
    """Return the mean size of each channel's values, as octaves, for the axes that a layout sorts by.

    `values` are integers, flat, in the tensor's own order; their sign does not matter.
    """
    axes = _axes(shape)
    table = values.reshape(axes[0], axes[1] * axes[2])
    kind = np.int64 if table.itemsize < 8 else np.float64  # which no sum leaves
    by_row, by_column = np.empty(axes[0], kind), np.zeros(table.shape[1], kind)
    most = max(1, _STRIP // table.shape[1])
    for start in range(0, axes[0], most):
        sizes = np.abs(table[start : start + most]).view(f"u{table.itemsize}")  # the size of -128 is 128
        by_row[start : start + most] = sizes.sum(axis=1, dtype=kind)
        if layout > 1:
            by_column += sizes.sum(axis=0, dtype=kind)
    inner = by_column.reshape(axes[1:])
    sums = (by_row, inner.sum(axis=1), inner.sum(axis=0))[:layout]
    return [np.log2(own / (values.size / own.size) + 2.0**-16) for own in sums]


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
    parts = _by_axis(codes.astype(np.int16), axes, layout)
    if _count_blocks(parts) > MOST_BLOCKS:
        raise Corrupt(f"a tensor's codes make more than {MOST_BLOCKS} blocks; drop the payload")
    permutations = [np.argsort(part, kind="stable") for part in parts]
    runs = [_Runs.of(part[permutation]) for part, permutation in zip(parts, permutations, strict=True)]
    grid = np.indices([each.codes.size for each in runs]).reshape(layout, -1)
    codes_by_axis = [each.codes[at] for each, at in zip(runs, grid, strict=True)]
    classes = np.sum(codes_by_axis, axis=0)
    laid = np.lexsort((*reversed(codes_by_axis), classes))
    # The grid runs over the inner axes first: each run of rows has its blocks one after the other, all in the same ranges.
    widths = math.prod(axes[layout:]) * np.asarray(math.prod(np.ix_(*(each.sizes for each in runs[1:])))).reshape(-1)
    sizes = np.outer(runs[0].sizes, widths).reshape(-1)
    starts = np.empty_like(sizes)
    starts[laid] = np.cumsum(sizes[laid]) - sizes[laid]
    ends = np.cumsum(widths)
    ranges = list(zip((ends - widths).tolist(), ends.tolist(), strict=True))
    rows = tuple(
        _Rows(permutations[0][at], tuple((start, *both) for start, both in zip(own, ranges, strict=True)))
        for at, own in zip(runs[0].slices, starts.reshape(-1, widths.size).tolist(), strict=True)
    )
    inner = _inner(permutations[1:], runs[1:], axes)
    return Order((axes[0], axes[1] * axes[2]), inner, rows, _groups(classes[laid], sizes[laid]))


def _inner(
    permutations: Sequence[NDArray[np.intp]], runs: Sequence["_Runs"], axes: tuple[int, int, int]
) -> NDArray[np.intp] | None:
    """Return the places of a channel's values, block by block, in a block by input channel and kernel position."""
    if not permutations:
        return None
    places = np.arange(axes[1] * axes[2]).reshape(axes[1:])[permutations[0]]
    if len(permutations) == 1:
        return places.reshape(-1)
    places = places[:, permutations[1]]
    blocks = [places[at].reshape(-1) for at in product(*(each.slices for each in runs))]
    return np.concatenate(blocks)


def channels_at(places: Array, shape: Sequence[int]) -> tuple[Array, ...]:
    """Return the output channels, input channels and kernel positions of some places of a tensor."""
    _, inner, kernel = _axes(shape)
    rest, last = np.divmod(places.astype(np.uint32), kernel)  # no tensor has more than 2**32 floats, see `MAX_RAW_BYTES`
    return (*np.divmod(rest, inner), last)


def groups_at(
    channels: Sequence[Array], codes: Array, shape: Sequence[int], layout: int
) -> tuple[NDArray[np.intp], tuple[int, ...]]:
    """Return which group some places (by their channels) belong to, and the groups' sizes: `order_of` without the order.

    The sizes of the classes follow from how many channels have each code.
    """
    axes = _axes(shape)
    parts = [part - int(part.min()) for part in _by_axis(codes.astype(np.int64), axes, layout)]
    sizes = reduce(np.convolve, map(np.bincount, parts)) * math.prod(axes[layout:])
    groups = _groups(np.arange(sizes.size), sizes)
    group_of_class = np.minimum(np.searchsorted(np.cumsum(groups), np.cumsum(sizes)), len(groups) - 1)
    classes = reduce(np.add, (part.take(at) for part, at in zip(parts, channels, strict=False)))
    return group_of_class.take(classes), groups


def _by_axis(codes: Array, axes: tuple[int, int, int], layout: int) -> list[Array]:
    return np.split(codes, np.cumsum(axes[: layout - 1]))


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
