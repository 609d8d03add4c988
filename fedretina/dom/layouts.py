"""Which layout codes a tensor's integers in the fewest bytes, and the pieces that it makes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fedretina.dom.config import Effort
from fedretina.dom.integers import Decompressor, Piece, narrow, pack, piece_sizes, splits, unpack
from fedretina.dom.layout import PLAIN, Sorting, codes_of, count_codes, is_sortable, order_of, spreads
from fedretina.dom.sampling import places
from fedretina.dom.tensors import Array
from fedretina.dom.trellis import pack_paths, unpack_paths
from fedretina.errors import Corrupt

_WHAT_PAYS: dict[Effort, tuple[int, ...]] = {"fast": (1,), "balanced": (0, 1, 2, 3), "small": (0, 1, 2, 3)}
_LOOKED_AT = 2048  # integers of a group that its entropy is estimated from
_GROUP_BYTES = 40  # what a group costs besides its integers
_CODE_BYTES = 0.4
_ROUNDED = 0.35  # the dead zone that is nearest to what optimised integers look like
_CHUNK = 2**16
_WORTH = 64  # values a channel has at least, for its code to be cheap beside them


def pack_best(values: Array, shape: Sequence[int], effort: Effort) -> tuple[int, list[bytes]]:
    """Return the layout with the fewest bytes among those that the effort tries, and its pieces."""
    layouts = candidates(values, shape, effort)
    octaves = spreads(values, shape, max(layouts)) if any(layouts) else []
    ordered: Iterable[_Ordered] = (_lay_out(values, shape, octaves[:layout]) for layout in layouts)
    if len(layouts) > 1 and effort != "small":
        ordered = [min(ordered, key=_Ordered.estimate)]
    packed = ((each.layout, each.pack(effort)) for each in ordered)
    return min(packed, key=lambda found: sum(map(len, found[1])))


def candidates(values: Array, shape: Sequence[int], effort: Effort) -> tuple[int, ...]:
    """Return the layouts worth trying."""
    if not is_sortable(shape, values.size):
        return (PLAIN,)
    cheap = tuple(each for each in _WHAT_PAYS[effort] if values.size >= _WORTH * count_codes(shape, each))
    return cheap or (PLAIN,)


def pack_laid_out(values: Array, shape: Sequence[int], layout: int, effort: Effort) -> list[bytes]:
    """Return the pieces of one tensor's integers in the given layout: its codes, if it has any, then its groups."""
    return _lay_out(values, shape, spreads(values, shape, layout) if layout else []).pack(effort)


def sorting_of(fine: Array, shape: Sequence[int], *, unit: float) -> Sorting:
    """Return the layout that is likely to code a tensor in the fewest bytes, quantised to about `unit`, and its codes."""
    layouts = candidates(fine, shape, "small")
    if layouts == (PLAIN,):
        return Sorting(PLAIN, np.empty(0, np.int8))
    rounded = narrow(_rounded(fine, unit))
    # Where nearly all integers are 0 they say little of their channels, where few are large the differences do.
    octaves = [spreads(sizes, shape, max(layouts)) for sizes in (fine, rounded)]
    tried = (_lay_out(rounded, shape, each[:layout]) for each in octaves for layout in layouts)
    best = min(tried, key=_Ordered.estimate)
    return Sorting(best.layout, best.codes)


def _rounded(fine: Array, unit: float) -> Array:
    """Return values divided by the unit, with a dead zone, a row of them at a time."""
    rounded = np.empty(fine.size, np.int16 if fine.itemsize == 2 else np.int64)
    for start in range(0, fine.size, _CHUNK):
        part = fine[start : start + _CHUNK] / np.float64(unit)
        rounded[start : start + _CHUNK] = np.trunc(part + np.copysign(_ROUNDED, part))
    return rounded


def pack_trellis(values: Array, shape: Sequence[int], sorting: Sorting, effort: Effort) -> list[bytes]:
    """Return the pieces of one tensor's integers that follow a trellis in the given order."""
    order = sorting.order(shape)
    if order is None:
        return pack_paths(values, (values.size,), effort)
    return [*pack(sorting.codes, effort), *pack_paths(order.sort(values), order.groups, effort)]


@dataclass(frozen=True)
class _Ordered:
    """A tensor's integers in the order of a layout."""

    layout: int
    codes: Array
    groups: list[Array]

    def estimate(self) -> float:
        """Return about how many bytes this takes, from the order-0 entropy of a sample of each group."""
        bytes_ = sum(_entropy(group) * group.size / 8 + _GROUP_BYTES for group in self.groups)
        return bytes_ + _CODE_BYTES * self.codes.size

    def pack(self, effort: Effort) -> list[bytes]:
        """Return the pieces."""
        return [piece for group in (*([self.codes] if self.layout else []), *self.groups) for piece in pack(group, effort)]


def _lay_out(values: Array, shape: Sequence[int], octaves: Sequence[Array]) -> _Ordered:
    if not octaves:
        return _Ordered(PLAIN, np.empty(0, np.int8), [values])
    codes = codes_of(octaves)
    order = order_of(codes, shape, len(octaves))
    return _Ordered(len(octaves), codes, [*splits(order.sort(values), order.groups)])


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
        return unpack_paths(pieces, (count,), decompressor) if trellis else unpack(pieces, count, decompressor)
    used = len(piece_sizes(count_codes(shape, layout)))
    order = order_of(unpack(pieces[:used], count_codes(shape, layout), decompressor), shape, layout)
    if trellis:
        return order.unsort(unpack_paths(pieces[used:], order.groups, decompressor))
    parts = []
    for size in order.groups:
        more = len(piece_sizes(size))
        parts.append(unpack(pieces[used : used + more], size, decompressor))
        used += more
    if used != len(pieces):
        raise Corrupt(f"a tensor has {len(pieces)} pieces, and its codes ask for {used}; drop the payload")
    return order.unsort(np.concatenate(parts))


def _entropy(values: Array) -> float:
    """Return bits a value, with Miller and Madow's correction for a sample."""
    part = values[places(values.size, _LOOKED_AT + values.size // 32)]
    if part.dtype.itemsize == 1:
        counts = np.bincount(part.view(np.uint8))
        counts = counts[counts > 0]
    else:
        counts = np.unique(part, return_counts=True)[1]
    chances = counts / part.size
    return float(-(chances * np.log2(chances)).sum()) + (counts.size - 1) / (2 * part.size * math.log(2))
