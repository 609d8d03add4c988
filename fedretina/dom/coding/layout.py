"""In which order a tensor's integers are coded: values of like spread together.

The size of a difference is nearly (output channel's scale) x (input channel's) x (kernel position's). The scales travel
coarsely (quarters of an octave, one byte each). Both ends derive the same order from them: channels of one scale are
brought together, which makes blocks of equal class (the sum of the codes), and the blocks are laid out by class. Groups of
neighbouring classes then have statistics of their own. Where a value goes follows from its block and from where it lies in
there: no values are sorted.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.tensors import Array
from fedretina.errors import Corrupt

PLAIN = 0
LAYOUTS = ("plain", "by out", "by out x in", "by out x in x kernel")
MIN_SORTABLE_VALUES = 8192
_MIN_GROUP_VALUES = 8192
_MAX_GROUPS = 32
_CODES_PER_OCTAVE = 4.0
MAX_BLOCKS = 1024
_STRIP = 2**17  # values that are looked at at once
_MOVED = 2**15  # values that are moved at once: their places take eight bytes each


@dataclass(frozen=True)
class _Columns:
    """Where the values of one output channel belong: each one's block, its place there, and the block's width."""

    blocks: NDArray[np.uint16]
    places: NDArray[np.intp]
    widths: NDArray[np.intp]


@dataclass(frozen=True)
class Order:
    """The order that codes make.

    `rows` are the output channels of each code; in `starts` (one row each) is where their blocks begin. A block holds its
    `columns` of one channel after the other; without columns there is one, the whole channels.
    """

    shape: tuple[int, int]
    rows: tuple[NDArray[np.intp], ...]
    starts: NDArray[np.intp]
    columns: _Columns | None
    groups: tuple[int, ...]

    def sort(self, values: Array) -> Array:
        """Return a tensor's values, given flat in their own order, in this one."""
        table, ordered = values.reshape(self.shape), np.empty(values.size, values.dtype)
        for channels, places in self._strips():
            ordered[places] = table[channels].reshape(-1)
        return ordered

    def unsort(self, ordered: Array) -> Array:
        """Return the values in their own order, flat: the inverse of `sort`."""
        table = np.empty(self.shape, ordered.dtype)
        for channels, places in self._strips():
            table[channels] = ordered[places].reshape(channels.size, -1)
        return table.reshape(-1)

    def _strips(self) -> Iterator[tuple[NDArray[np.intp], slice | NDArray[np.intp]]]:
        """Yield output channels of one code, few enough for the cache, with the places of their values in the order."""
        most = max(1, _MOVED // max(self.shape[1], 1))
        for channels, starts in zip(self.rows, self.starts, strict=True):
            first = starts if self.columns is None else starts.take(self.columns.blocks) + self.columns.places
            for done in range(0, channels.size, most):
                strip = channels[done : done + most]
                yield strip, self._places(first, done, strip.size)

    def _places(self, first: NDArray[np.intp], done: int, count: int) -> slice | NDArray[np.intp]:
        """Return the places of some channels of one code, given where the first one's values are."""
        if self.columns is None:
            start = int(first[0]) + done * self.shape[1]
            return slice(start, start + count * self.shape[1])
        places = np.multiply.outer(np.arange(done, done + count), self.columns.widths)
        places += first
        return places.reshape(-1)


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
    return len(shape) >= 2 and count >= MIN_SORTABLE_VALUES


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
        if _count_blocks(codes) <= MAX_BLOCKS:
            return np.concatenate(codes)
        fineness /= 2


def count_codes(shape: Sequence[int], layout: int) -> int:
    """Return how many codes a layout has."""
    return sum(_axes(shape)[:layout])


def order_of(codes: Array, shape: Sequence[int], layout: int) -> Order:
    """Return the order that a tensor's codes make; raise `Corrupt` if they make too many blocks."""
    axes = _axes(shape)
    parts = _by_axis(codes.astype(np.int16), axes, layout)
    if _count_blocks(parts) > MAX_BLOCKS:
        raise Corrupt(f"a tensor's codes make more than {MAX_BLOCKS} blocks; drop the payload")
    runs = [_Runs.of(part) for part in parts]
    grid = np.indices([each.codes.size for each in runs]).reshape(layout, -1)
    codes_by_axis = [each.codes[at] for each, at in zip(runs, grid, strict=True)]
    classes = np.sum(codes_by_axis, axis=0)
    laid = np.lexsort((*reversed(codes_by_axis), classes))
    # The grid runs over the inner axes first: each run of rows has its blocks one after the other.
    widths = math.prod(axes[layout:]) * np.asarray(math.prod(np.ix_(*(each.sizes for each in runs[1:])))).reshape(-1)
    sizes = np.outer(runs[0].sizes, widths).reshape(-1)
    starts = np.empty_like(sizes)
    starts[laid] = np.cumsum(sizes[laid]) - sizes[laid]
    columns = _columns(runs[1:], axes, widths) if layout > 1 else None
    groups = _groups(classes[laid], sizes[laid])
    return Order((axes[0], axes[1] * axes[2]), runs[0].members, starts.reshape(-1, widths.size), columns, groups)


def _columns(runs: Sequence["_Runs"], axes: tuple[int, int, int], widths: NDArray[np.intp]) -> _Columns:
    """Return the columns of blocks by input channel, and by kernel position if there are runs of these."""
    blocks, places = runs[0].numbers[:, None], runs[0].places[:, None]
    if len(runs) == 1:
        blocks, places = np.repeat(blocks, axes[2], axis=1), axes[2] * places + np.arange(axes[2])
    else:
        kernel = runs[1]
        blocks = kernel.codes.size * blocks + kernel.numbers
        places = kernel.sizes.take(kernel.numbers) * places + kernel.places
    blocks = blocks.reshape(-1)
    return _Columns(blocks.astype(np.uint16), places.reshape(-1), widths.take(blocks))


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


def _groups(classes: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the sizes of the groups: whole classes, as many as reach the least size; the last one takes what is left."""
    least = max(_MIN_GROUP_VALUES, int(sizes.sum()) // _MAX_GROUPS)
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
