"""Dependent quantisation: two quantisers, and a trellis of eight states that chooses one of them for each value.

The first quantiser restores k to 2k steps, the second to 2k - sign(k). Each has every other multiple of the step; both
together have all of them. Only k travels, which costs as little as with a step of twice the size.

The state is the last three quantisers (0 or 1) of a lane. The quantiser of the next value is the exclusive or of these three
and of the parity of k. An encoder that searches for the best path (`quantisation.viterbi`) saves 3 to 5 % of the bits at the
same error.

Values lie in rows of `lanes`, in the order of their layout. Each lane is a trellis of its own and runs down the rows,
so that encoder and decoder work on whole rows. Each group has two streams, one for each quantiser, with statistics of
their own.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.coding.integers import Decompressor, Piece, integer_type, pack, piece_sizes, unpack
from fedretina.dom.config import Effort
from fedretina.dom.tensors import Array
from fedretina.errors import Corrupt

MIN_TRELLIS_VALUES = 8192  # values; fewer have too few rows
_FEWEST_LANES, _MOST_LANES, _ROWS = 16, 8192, 128
_LARGEST = 2**61


def count_lanes(count: int) -> int:
    """Return how many lanes `count` values have."""
    return max(_FEWEST_LANES, min(_MOST_LANES, count // _ROWS))


def rows_of(groups: Sequence[int]) -> list[slice]:
    """Return the rows of each group: those whose first value is one of its values."""
    lanes = count_lanes(sum(groups))
    ends = -(-np.cumsum(groups) // lanes)
    return [slice(start, end) for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)]


def pack_paths(values: Array, groups: Sequence[int], effort: Effort) -> list[bytes]:
    """Return the pieces of integers that follow the trellis.

    Parameters
    ----------
    values : ndarray
        Multiples of the step, in the order of the layout.
    groups : sequence of int
        The sizes of the layout's groups.
    effort : {"fast", "balanced", "small"}
        As for `pack`.
    """
    states = _LaneStates(count_lanes(values.size))
    counts, pieces = [], []
    for part in _parts(values, groups):
        first, second = _streams(part, states)
        counts.append(first.size)
        pieces += [*pack(first, effort), *pack(second, effort)]
    return [*pack(np.array(counts), effort), *pieces]


def unpack_paths(pieces: Sequence[Piece], groups: Sequence[int], decompressor: Decompressor) -> Array:
    """Return the multiples of the step that `pack_paths` was given; raise `Corrupt` if the pieces hold anything else."""
    counts = unpack(pieces[:1], (len(groups),), decompressor).tolist()
    total, used = sum(groups), 1
    states = _LaneStates(count_lanes(total))
    restored = []
    for rows, first in zip(rows_of(groups), counts, strict=True):
        size = min(rows.stop * states.lanes, total) - rows.start * states.lanes
        if not 0 <= first <= size:
            raise Corrupt(f"{first} of {size} values are said to have the first quantiser; drop the payload")
        streams = []
        for count in (first, size - first):
            more = len(piece_sizes(count))
            streams.append(unpack(pieces[used : used + more], (count,), decompressor))
            used += more
        restored.append(_restored(streams[0], streams[1], states))
    if used != len(pieces):
        raise Corrupt(f"a tensor has {len(pieces)} pieces, and its trellis asks for {used}; drop the payload")
    return np.concatenate(restored)


def _parts(values: Array, groups: Sequence[int]) -> Iterator[Array]:
    lanes = count_lanes(values.size)
    for rows in rows_of(groups):
        yield values[rows.start * lanes : rows.stop * lanes]


def _streams(part: Array, states: "_LaneStates") -> tuple[Array, Array]:
    """Walk down the rows of one group; return what each quantiser sends."""
    second = np.empty(part.size, bool)
    sent = np.empty_like(part)
    for at in states.rows(part.size):
        second[at] = states.second(at)
        sent[at] = (part[at] >> 1) + (second[at] & (part[at] > 0))
        states.advance(sent[at])
    seconds = sent[second]
    return sent[np.logical_not(second, out=second)], seconds


class _LaneStates:
    """The last three quantisers of every lane, newest first."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self._newest, self._middle, self._oldest = (np.zeros(lanes, np.uint8) for _ in range(3))

    def rows(self, count: int) -> Iterator[slice]:
        """Yield the rows of the next `count` values."""
        for start in range(0, count, self.lanes):
            yield slice(start, min(start + self.lanes, count))

    def second(self, at: slice) -> NDArray[np.bool_]:
        """Return which values of a row have the second quantiser."""
        return self._newest[: at.stop - at.start].view(np.bool_)

    def advance(self, k: Array) -> None:
        """Take the integers of a row."""
        following = self._newest ^ self._middle
        following ^= self._oldest
        following[: k.size] ^= (k & 1).astype(np.uint8)
        self._newest, self._middle, self._oldest = following, self._newest, self._middle


def _restored(first: Array, second: Array, states: _LaneStates) -> Array:
    """Walk down the rows of one group."""
    largest = max(max(int(each.max(initial=0)), -int(each.min(initial=0))) for each in (first, second))
    if largest > _LARGEST:
        raise Corrupt("a trellis has integers beyond 2**61; drop the payload")
    restored = np.empty(first.size + second.size, integer_type(2 * largest))
    signs = np.empty(restored.size, np.int8)
    used = 0
    for at in states.rows(restored.size):
        row, odd = restored[at], states.second(at)
        seconds, firsts = np.flatnonzero(odd), np.flatnonzero(~odd)  # several times faster than masks
        begin = at.start - used
        taken, rest = second[used : used + seconds.size], first[begin : begin + firsts.size]
        if taken.size < seconds.size or rest.size < firsts.size:
            raise Corrupt("a trellis asks for other counts of values than the payload has; drop it")
        row[seconds], row[firsts] = taken, rest
        np.multiply(np.sign(row), odd, out=signs[at], casting="unsafe")
        states.advance(row)
        used += seconds.size
    restored *= 2
    restored -= signs
    return restored
