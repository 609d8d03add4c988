"""In which order a tensor's integers are coded: values of like spread together.

The size of a difference is nearly (output channel's scale) x (input channel's) x (kernel position's). The scales travel
coarsely (quarters of an octave, one byte each); both ends sort the integers by them, stably, and code the sorted
integers in groups that have statistics of their own.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.config import Effort
from fedretina.dom.integers import Decompressor, pack, piece_sizes, splits, unpack
from fedretina.dom.tensors import Array

PLAIN = 0
LAYOUTS = ("plain", "by out", "by out x in", "by out x in x kernel")
_CANDIDATES: dict[Effort, tuple[int, ...]] = {"fast": (0,), "balanced": (0, 3), "small": (0, 1, 2, 3)}
_GROUP = 4096
_MAX_GROUPS = 24
_CODES_PER_OCTAVE = 4


def candidates(shape: Sequence[int], count: int, effort: Effort) -> tuple[int, ...]:
    """Return the layouts worth trying for a tensor."""
    return _CANDIDATES[effort] if is_sortable(shape, count) else (PLAIN,)


def is_sortable(shape: Sequence[int], count: int) -> bool:
    """Return whether a tensor has channels, and enough values for groups."""
    return len(shape) >= 2 and count >= 2 * _GROUP


def pack_laid_out(values: Array, shape: Sequence[int], layout: int, effort: Effort) -> list[bytes]:
    """Return the pieces of one tensor's integers in the given layout."""
    if layout == PLAIN:
        return pack(values, effort)
    codes = _spread_codes(values.reshape(_axes(shape)), layout)
    ordered = values[_order(codes, shape)]
    groups = splits(ordered, _group_sizes(values.size))
    return [*pack(codes, effort), *(piece for group in groups for piece in pack(group, effort))]


def count_pieces(shape: Sequence[int], count: int, layout: int) -> int:
    """Return how many pieces `pack_laid_out` makes."""
    return sum(len(piece_sizes(size)) for size in _stored_sizes(shape, count, layout))


def unpack_laid_out(
    pieces: Sequence[bytes], shape: Sequence[int], count: int, *, layout: int, decompressor: Decompressor
) -> Array:
    """Return the integers of one tensor in their own order."""
    parts, start = [], 0
    for size in _stored_sizes(shape, count, layout):
        used = len(piece_sizes(size))
        parts.append(unpack(pieces[start : start + used], size, decompressor))
        start += used
    if layout == PLAIN:
        return parts[0]
    groups = np.concatenate(parts[1:])
    values = np.empty(count, groups.dtype)
    values[_order(parts[0], shape)] = groups
    return values


def _axes(shape: Sequence[int]) -> tuple[int, int, int]:
    kernel = 1
    for size in shape[2:]:
        kernel *= size
    return shape[0], shape[1], kernel


def _spread_codes(values: Array, layout: int) -> NDArray[np.int8]:
    """Return one code per channel of the axes that the layout sorts by, concatenated."""
    sizes = np.abs(values.astype(np.float32))  # in this order: |-128| leaves int8
    codes = []
    for axis in range(layout):
        others = tuple(other for other in range(3) if other != axis)
        spread = sizes.mean(axis=others, dtype=np.float64)
        codes.append(np.rint(_CODES_PER_OCTAVE * np.log2(spread + 2.0**-16)))
    clipped: NDArray[np.int8] = np.clip(np.concatenate(codes), -127, 127).astype(np.int8)
    return clipped


def _order(codes: Array, shape: Sequence[int]) -> NDArray[np.int64]:
    """Return the stable order of a tensor's values by the sum of their channels' codes."""
    axes = _axes(shape)
    classes = np.zeros(axes, np.int16)
    for axis, part in enumerate(splits(codes, axes)):
        if part.size:
            classes += part.astype(np.int16).reshape([-1 if other == axis else 1 for other in range(3)])
    return np.argsort(classes.reshape(-1), kind="stable")


def _group_sizes(count: int) -> list[int]:
    groups = min(max(count // _GROUP, 1), _MAX_GROUPS)
    return [count * (index + 1) // groups - count * index // groups for index in range(groups)]


def _stored_sizes(shape: Sequence[int], count: int, layout: int) -> list[int]:
    if layout == PLAIN:
        return [count]
    return [sum(_axes(shape)[:layout]), *_group_sizes(count)]
