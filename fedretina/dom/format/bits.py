"""Differences of bits as groups of integers (format version 2): by the base's exponent, and without untouched rows.

An update moves a weight by so many units in the last place, and a unit is as large as the weight's exponent says. So
differences of weights of one exponent have about one spread: they lie together, and both ends know the order from the base.
Rows that are the same in base and new (an embedding's, of words that nobody used) are a bit each.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.coding.integers import Decompressor, Piece, pack, piece_sizes, splits, unpack
from fedretina.dom.coding.layout import MIN_SORTABLE_VALUES, group_sizes
from fedretina.dom.config import Effort
from fedretina.dom.tensors import Array, float_info, is_float, words
from fedretina.errors import Corrupt

BY_EXPONENT, TOUCHED_ROWS = 1, 2  # bits of a layout
_UNTOUCHED = 0.1  # share of the rows from which on they are left out


def layouts_of(differences: Array, base: Array | None, shape: Sequence[int]) -> list[int]:
    """Return the layouts that are worth trying for differences of bits, flat."""
    if base is None or differences.size < MIN_SORTABLE_VALUES:
        return [0]
    rows = 0
    if len(shape) > 1:
        rows = TOUCHED_ROWS * bool(_touched(differences, shape).mean() < 1 - _UNTOUCHED)
    return [rows, rows | BY_EXPONENT] if is_float(base.dtype) else [rows]


def pack_bits(differences: Array, base: Array | None, shape: Sequence[int], layout: int, effort: Effort) -> list[bytes]:
    """Return the pieces of differences of bits in a layout; the base is flat."""
    pieces: list[bytes] = []
    if layout & TOUCHED_ROWS:
        touched = _touched(differences, shape)
        pieces += pack(np.packbits(touched).view(np.int8), effort)
        differences = differences.reshape(touched.size, -1)[touched].reshape(-1)
        base = _of_rows(base, touched)
    if not layout & BY_EXPONENT or base is None:
        return [*pieces, *pack(differences, effort)]
    order, groups = _order(base)
    return [*pieces, *(piece for part in splits(differences[order], groups) for piece in pack(part, effort))]


def unpack_bits(
    pieces: Sequence[Piece],
    base: Array | None,
    shape: Sequence[int],
    *,
    count: int,
    layout: int,
    decompressor: Decompressor,
) -> Array:
    """Return the differences that `pack_bits` was given; raise `Corrupt` if the pieces hold anything else."""
    if not layout & TOUCHED_ROWS:
        return _unpack_values(pieces, base, count, layout, decompressor)
    packed = (shape[0] + 7) // 8
    used = len(piece_sizes(packed))
    flags = np.unpackbits(unpack(pieces[:used], (packed,), decompressor).astype(np.int8).view(np.uint8)).view(np.bool_)
    if flags[shape[0] :].any():
        raise Corrupt("more rows are touched than a tensor has; drop the payload")
    touched = flags[: shape[0]]
    width = count // shape[0]
    size = int(touched.sum()) * width
    values = _unpack_values(pieces[used:], _of_rows(base, touched), size, layout, decompressor)
    found = np.zeros((shape[0], width), values.dtype)
    found[touched] = values.reshape(-1, width)
    return found.reshape(-1)


def _unpack_values(
    pieces: Sequence[Piece], base: Array | None, count: int, layout: int, decompressor: Decompressor
) -> Array:
    if not layout & BY_EXPONENT:
        return unpack(pieces, (count,), decompressor)
    if base is None:
        raise Corrupt("a tensor without a base is sorted by the base's exponents; drop the payload")
    order, groups = _order(base)
    ordered = unpack(pieces, groups, decompressor)
    found = np.empty_like(ordered)
    found[order] = ordered
    return found


def _touched(differences: Array, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return which rows hold anything but zeros."""
    return np.asarray(differences.reshape(shape[0], -1).any(axis=1))


def _of_rows(base: Array | None, chosen: NDArray[np.bool_]) -> Array | None:
    return None if base is None else base.reshape(chosen.size, -1)[chosen].reshape(-1)


def _order(base: Array) -> tuple[NDArray[np.intp], tuple[int, ...]]:
    """Return the order of a tensor's values by their base's exponent, stably, and the sizes of the groups."""
    info = float_info(base.dtype)
    exponents = words(base) >> info.nmant & ((1 << info.nexp) - 1)
    exponents = exponents.astype(np.uint16 if info.nexp > 8 else np.uint8)
    order = np.argsort(exponents, kind="stable")
    counts = np.bincount(exponents)
    classes = np.flatnonzero(counts)
    return order, group_sizes(classes, counts[classes]) if base.size else ()
