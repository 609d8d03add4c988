"""Choose the layout that codes a tensor's integers in the fewest bytes, and code them."""

import math
from collections.abc import Sequence

import numpy as np

from fedretina.dom.coding.integers import Decompressor, Piece, integer_type, pack, piece_sizes, splits, unpack
from fedretina.dom.coding.layout import PLAIN, axes_of, channels_at, codes_of, count_codes, groups_at, is_sortable, spreads
from fedretina.dom.coding.order import Sorting, order_of
from fedretina.dom.coding.sampling import sample_indices
from fedretina.dom.coding.trellis import pack_paths, unpack_paths
from fedretina.dom.config import Effort
from fedretina.dom.tensors import Array

_LAYOUTS_BY_EFFORT: dict[Effort, tuple[int, ...]] = {"fast": (1,), "balanced": (0, 1, 2, 3), "small": (0, 1, 2, 3)}
_SAMPLED_VALUES = 2**14  # integers at least, and one in 64, that the entropy is estimated from
_FEW = 256
_GROUP_BYTES = 40  # what a group costs besides its integers
_CODE_BYTES = 0.4
_ROUNDING_OFFSET = 0.35  # the dead zone that is nearest to what optimised integers look like
_CHUNK = 2**14
_MIN_VALUES_PER_CODE = 64  # values a channel has at least, for its code to be cheap beside them


def pack_best(values: Array, shape: Sequence[int], effort: Effort) -> tuple[int, list[bytes]]:
    """Return the layout with the fewest bytes among those that the effort tries, and its pieces."""
    layouts = candidates(values, shape, effort)
    octaves = spreads(values, shape, max(layouts)) if any(layouts) else []
    sortings = [_sorting(octaves[:layout]) for layout in layouts]
    if len(sortings) > 1 and effort != "small":
        sortings = [_likely_best(values, shape, sortings)]
    packed = ((each.layout, _pack(values, shape, each, effort)) for each in sortings)
    return min(packed, key=lambda found: sum(map(len, found[1])))


def candidates(values: Array, shape: Sequence[int], effort: Effort) -> tuple[int, ...]:
    """Return the layouts worth trying."""
    if not is_sortable(shape, values.size):
        return (PLAIN,)
    most = 3 if axes_of(shape)[2] > 1 else 2  # one kernel position needs no code
    cheap = tuple(
        each
        for each in _LAYOUTS_BY_EFFORT[effort]
        if each <= most and values.size >= _MIN_VALUES_PER_CODE * count_codes(shape, each)
    )
    return cheap or (PLAIN,)


def pack_laid_out(values: Array, shape: Sequence[int], layout: int, effort: Effort) -> list[bytes]:
    """Return the pieces of one tensor's integers in the given layout: its codes, if it has any, then its groups."""
    return _pack(values, shape, _sorting(spreads(values, shape, layout) if layout else []), effort)


def sorting_of(fine: Array, shape: Sequence[int], *, unit: float) -> Sorting:
    """Return the layout that is likely to code a tensor in the fewest bytes, quantised to about `unit`, and its codes."""
    layouts = candidates(fine, shape, "small")
    if layouts == (PLAIN,):
        return _sorting([])
    rounded = _rounded(fine, unit)
    # Where nearly all integers are 0 they say little of their channels, where few are large the differences do.
    octaves = [spreads(sizes, shape, max(layouts)) for sizes in (fine, rounded)]
    return _likely_best(rounded, shape, [_sorting(each[:layout]) for each in octaves for layout in layouts])


def _rounded(fine: Array, unit: float) -> Array:
    """Return values divided by the unit, with a dead zone, in the narrowest type that surely holds them."""
    rounded = np.empty(fine.size, integer_type(max(int(fine.max()), -int(fine.min())) / unit + 1))
    for start in range(0, fine.size, _CHUNK):
        part = fine[start : start + _CHUNK] / np.float64(unit)
        rounded[start : start + _CHUNK] = np.trunc(part + np.copysign(_ROUNDING_OFFSET, part))
    return rounded


def pack_trellis(values: Array, shape: Sequence[int], sorting: Sorting, effort: Effort) -> list[bytes]:
    """Return the pieces of one tensor's integers that follow a trellis in the given order."""
    order = sorting.order(shape)
    if order is None:
        return pack_paths(values, (values.size,), effort)
    return [*pack(sorting.codes, effort), *pack_paths(order.sort(values), order.groups, effort)]


def _sorting(octaves: Sequence[Array]) -> Sorting:
    return Sorting(len(octaves), codes_of(octaves) if octaves else np.empty(0, np.int8))


def _pack(values: Array, shape: Sequence[int], sorting: Sorting, effort: Effort) -> list[bytes]:
    order = sorting.order(shape)
    if order is None:
        return pack(values, effort)
    groups = [sorting.codes, *splits(order.sort(values), order.groups)]
    return [piece for group in groups for piece in pack(group, effort)]


def _likely_best(values: Array, shape: Sequence[int], sortings: Sequence[Sorting]) -> Sorting:
    """Return the sorting that is likely to take the fewest bytes, by the order-0 entropy of a sample of each group."""
    at = sample_indices(values.size, _SAMPLED_VALUES + values.size // 64)
    at = np.arange(values.size) if isinstance(at, slice) else at
    symbols, channels = _symbols(values[at]), channels_at(at, shape)
    return min(sortings, key=lambda sorting: _estimate(symbols, channels, shape, sorting))


def _symbols(values: Array) -> Array:
    """Return the index of each value among the few different values."""
    low, high = int(values.min()), int(values.max())
    if high - low < _FEW:
        return values.astype(np.intp) - low
    return np.unique(values, return_inverse=True)[1]


def unpack_laid_out(
    pieces: Sequence[Piece],
    shape: Sequence[int],
    count: int,
    *,
    layout: int,
    decompressor: Decompressor,
    trellis: bool = False,
) -> Array:
    """Return the integers of one tensor in their own order."""
    if layout == PLAIN:
        return unpack_paths(pieces, (count,), decompressor) if trellis else unpack(pieces, (count,), decompressor)
    codes = count_codes(shape, layout)
    used = len(piece_sizes(codes))
    order = order_of(unpack(pieces[:used], (codes,), decompressor), shape, layout)
    read = unpack_paths if trellis else unpack
    return order.unsort(read(pieces[used:], order.groups, decompressor))


def _estimate(symbols: Array, channels: Sequence[Array], shape: Sequence[int], sorting: Sorting) -> float:
    """Estimate the bytes of a tensor in some order, from a sample."""
    groups: Array = np.zeros(1, np.intp)
    sizes: tuple[int, ...] = (math.prod(shape),)
    if sorting.layout:
        groups, sizes = groups_at(channels, sorting.codes, shape, sorting.layout)
    width = int(symbols.max()) + 1
    counts = np.bincount(groups * width + symbols, minlength=len(sizes) * width).reshape(-1, width)
    return float((_entropies(counts) * sizes).sum()) / 8 + _GROUP_BYTES * len(sizes) + _CODE_BYTES * sorting.codes.size


def _entropies(counts: Array) -> Array:
    """Return the bits a value of each row of counts takes, with Miller and Madow's correction for a sample."""
    totals = np.maximum(counts.sum(axis=1), 1)
    bits = np.log2(totals) - (counts * np.log2(np.maximum(counts, 1))).sum(axis=1) / totals
    found: Array = bits + np.maximum(np.count_nonzero(counts, axis=1) - 1, 0) / (2 * totals * math.log(2))
    return found
