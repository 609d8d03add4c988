"""Layouts: the order in which a tensor's integers are coded. It brings values of similar size together.

The size of a difference is nearly (output channel's scale) x (input channel's) x (kernel position's). Each scale
travels as a code: one byte, in quarters of an octave. Encoder and decoder derive the same order from the codes:

1. Channels with the same code are brought together. This makes blocks; the class of a block is the sum of its codes.
2. The blocks are laid out by class. Neighbouring classes form a group, which pcodec codes with statistics of its own.

The place of a value follows from its block and from its place in the block: no values are sorted.
"""

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.tensors import Array

PLAIN = 0
LAYOUTS = ("plain", "by out", "by out x in", "by out x in x kernel")
MIN_SORTABLE_VALUES = 8192
_MIN_GROUP_VALUES = 8192
_MAX_GROUPS = 32
_CODES_PER_OCTAVE = 4.0
MAX_BLOCKS = 1024
_STRIP = 2**17  # values that are measured at a time


def is_sortable(shape: Sequence[int], count: int) -> bool:
    """Return whether a tensor has channels, and enough values for groups."""
    return len(shape) >= 2 and count >= MIN_SORTABLE_VALUES


def spreads(values: Array, shape: Sequence[int], layout: int = 3) -> list[NDArray[np.float64]]:
    """Return the mean size of each channel's values, as octaves, for the axes that a layout sorts by.

    `values` are integers, flat, in the tensor's own order; their sign does not matter.
    """
    axes = axes_of(shape)
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
        if count_blocks(codes) <= MAX_BLOCKS:
            return np.concatenate(codes)
        fineness /= 2


def count_codes(shape: Sequence[int], layout: int) -> int:
    """Return how many codes a layout has."""
    return sum(axes_of(shape)[:layout])


def channels_at(places: Array, shape: Sequence[int]) -> tuple[Array, ...]:
    """Return the output channels, input channels and kernel positions of some places of a tensor."""
    _, inner, kernel = axes_of(shape)
    rest, last = np.divmod(places.astype(np.uint32), kernel)  # no tensor has more than 2**32 floats, see `MAX_RAW_BYTES`
    return (*np.divmod(rest, inner), last)


def groups_at(
    channels: Sequence[Array], codes: Array, shape: Sequence[int], layout: int
) -> tuple[NDArray[np.intp], tuple[int, ...]]:
    """Return which group some places (by their channels) belong to, and the groups' sizes: `order_of` without the order.

    The sizes of the classes follow from how many channels have each code.
    """
    axes = axes_of(shape)
    parts = [part - int(part.min()) for part in split_codes(codes.astype(np.int64), axes, layout)]
    sizes = reduce(np.convolve, map(np.bincount, parts)) * math.prod(axes[layout:])
    groups = group_sizes(np.arange(sizes.size), sizes)
    group_of_class = np.minimum(np.searchsorted(np.cumsum(groups), np.cumsum(sizes)), len(groups) - 1)
    classes = reduce(np.add, (part.take(at) for part, at in zip(parts, channels, strict=False)))
    return group_of_class.take(classes), groups


def split_codes(codes: Array, axes: tuple[int, int, int], layout: int) -> list[Array]:
    """Return the codes of each axis that a layout sorts by."""
    return np.split(codes, np.cumsum(axes[: layout - 1]))


def count_blocks(codes: Sequence[Array]) -> int:
    """Return how many blocks the codes of all axes make."""
    return math.prod(np.unique(part).size for part in codes)


def group_sizes(classes: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[int, ...]:
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


def axes_of(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the numbers of output channels, input channels and kernel positions."""
    kernel = 1
    for size in shape[2:]:
        kernel *= size
    return shape[0], shape[1], kernel
