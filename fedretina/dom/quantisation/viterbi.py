"""Search the path through the trellis of dependent quantisation with the least squared error plus lambda times the bits.

The search runs in rounds. The bits of each k come from the counts of the round before, one table for each group and
quantiser; the offsets come from its centroids. All rounds but the last look at a sample of the lanes.

The cost of a value with each quantiser and parity depends only on its size: it is looked up in a table. From `_LINEAR`
on the bits do not depend on k, so the costs repeat.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.coding.sampling import sample_indices
from fedretina.dom.coding.trellis import count_lanes, rows_of
from fedretina.dom.quantisation.rounding import LEVELS
from fedretina.dom.tensors import Array

_PER_STEP = 32  # entries of the tables for each step
_FINER = 2  # bits: `fine` comes in 128ths
_TOP = 32  # k of this size and more cost the same
_LINEAR = (2 * _TOP + 8) * _PER_STEP  # sizes from which on no k under `_TOP` is considered
_PERIOD = 4 * _PER_STEP  # k + 2 is restored four steps further
_LANES = 512  # lanes that are searched together: their decisions fit into the cache
_SAMPLED = 64  # lanes that the first rounds look at; of many lanes, an eighth
_ROUNDS = 3
_COUNTED = 16  # rows whose integers are counted at a time
_RENEWED = 64  # rows after which the least cost is subtracted from all, so that float32 is precise enough
_MOST_BITS = 40
_GUESSED_FROM = 2**14  # values of a group that the first round's bits come from
_SMOOTHING = 0.5
# A state is the last three quantisers, the newest in bit 0. State s is reached from s >> 1 by a k of the parity in this
# table, and from (s >> 1) + 4 by a k of the other parity.
_PARITY = np.array([0, 1, 1, 0, 1, 0, 0, 1])
_COLUMN = np.arange(8) // 2 % 2 * 2 + _PARITY


@dataclass
class _Counts:
    """What a round saw: |k| by group and quantiser, and how far values lie from what they become."""

    groups: int
    sizes: NDArray[np.int64] = field(init=False)
    levels: NDArray[np.float64] = field(init=False)  # counts, sums

    def __post_init__(self) -> None:
        self.sizes = np.zeros((self.groups, 2, _TOP + 1), np.int64)
        self.levels = np.zeros((2, LEVELS))

    def add(self, group: int, k: Array, second: Array, restored: Array, sizes: Array) -> None:
        """Count some rows of one group."""
        keys = np.minimum(k, _TOP) + (_TOP + 1) * second
        self.sizes[group] += np.bincount(keys.reshape(-1), minlength=2 * (_TOP + 1)).reshape(2, -1)
        level = np.minimum(restored, LEVELS - 1).reshape(-1)
        self.levels[0] += np.bincount(level, minlength=LEVELS)
        distance = (sizes / (_PER_STEP << _FINER) - restored).reshape(-1)
        self.levels[1] += np.bincount(level, weights=distance, minlength=LEVELS)

    def bits(self) -> NDArray[np.float64]:
        """Return what each |k| costs, with its sign."""
        smoothed = self.sizes + _SMOOTHING
        return _with_signs(smoothed / smoothed.sum(axis=-1, keepdims=True))

    def offsets(self) -> bytes:
        """Return the centroid offsets, as `centroids` does."""
        means = self.levels[1, 1:] / np.maximum(self.levels[0, 1:], 1)
        return np.clip(np.rint(means * 128), -127, 127).astype(np.int8).tobytes()


def search_paths(fine: Array, groups: Sequence[int], *, rate: float) -> bytes:
    """Replace values by the multiples of the step that they become, and return the centroid offsets of these.

    Parameters
    ----------
    fine : ndarray
        Values in 128ths of a step, in the order of their layout; overwritten.
    groups : sequence of int
        The sizes of the layout's groups.
    rate : float
        Lambda: squared steps that one bit is worth.
    """
    lanes, rows = count_lanes(fine.size), rows_of(groups)
    bits = np.stack([_initial_bits(fine[each.start * lanes : each.stop * lanes]) for each in rows])
    offsets = bytes(LEVELS - 1)
    stride = max(1, min(lanes // _SAMPLED, 8))
    for last in range(1 - _ROUNDS, 1):
        tables = [_tables(each, offsets, rate) for each in bits]
        counts = _Counts(len(groups))
        for at in _blocks(lanes, stride if last else 1):
            values = _take_lanes(fine, lanes, at)
            paths = _paths(values, rows, tables, counts)
            if not last:
                _store_lanes(fine, lanes, at, np.where(values < 0, -paths, paths))
        bits, offsets = counts.bits(), counts.offsets()
    return offsets


def _blocks(lanes: int, stride: int) -> Iterator[slice]:
    for start in range(0, lanes, _LANES * stride):
        yield slice(start, min(start + _LANES * stride, lanes), stride)


def _take_lanes(fine: Array, lanes: int, at: slice) -> Array:
    """Return some lanes by rows; what the last row lacks is 0."""
    full = fine.size // lanes
    last = np.zeros((1 if fine.size % lanes else 0, lanes), fine.dtype)
    last.reshape(-1)[: fine.size % lanes] = fine[full * lanes :]
    return np.concatenate([fine[: full * lanes].reshape(full, lanes)[:, at], last[:, at]])


def _store_lanes(found: Array, lanes: int, at: slice, values: Array) -> None:
    full = found.size // lanes
    found[: full * lanes].reshape(full, lanes)[:, at] = values[:full]
    rest = found[full * lanes :][at]
    if rest.size:
        rest[...] = values[full, : rest.size]


def _initial_bits(fine: Array) -> NDArray[np.float64]:
    """Return the bits of a Laplacian of the values' mean size, for both quantisers."""
    sample = fine[sample_indices(fine.size, _GUESSED_FROM)]
    mean = float(np.abs(sample.astype(np.float64)).mean()) / (_PER_STEP << _FINER) + 1e-6
    chances = np.exp(-2 * np.arange(_TOP + 1) / mean)
    return np.stack([_with_signs(np.maximum(chances / chances.sum(), 2.0**-_MOST_BITS))] * 2)


def _with_signs(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    bits = -np.log2(chances)
    bits[..., 1:] += 1
    bits[..., -1] = np.maximum(bits[..., -1], bits[..., -2])  # the last one gathers a tail
    return bits


def _tables(bits: NDArray[np.float64], offsets: bytes, rate: float) -> tuple[Any, NDArray[np.int8]]:
    """Return by quantiser and parity (4, by size) the cost of the best k, and that k."""
    x = (np.arange(_LINEAR + _PERIOD) + 0.5) / _PER_STEP
    moved = np.concatenate([[0.0], np.frombuffer(offsets, np.int8) / 128])
    costs, best = [], []
    for quantiser in (0, 1):
        for parity in (0, 1):
            low = np.maximum(np.floor(((x + quantiser) / 2 - parity) / 2) * 2 + parity, parity).astype(np.int64)
            k = np.stack([low, low + 2])
            restored = 2 * k - quantiser * (k > 0)
            cost = np.square(x - restored - moved.take(np.minimum(restored, LEVELS - 1)))
            cost += rate * bits[quantiser].take(np.minimum(k, _TOP))
            costs.append(cost.min(axis=0))
            best.append(np.where(cost[1] < cost[0], k[1], k[0]))
    return np.stack(costs).astype(np.float32), np.stack(best).astype(np.int8)  # there is a table for each group


def _paths(values: Array, rows: Sequence[slice], tables: Sequence[Any], counts: _Counts) -> Array:
    """Return what the values' sizes become, in steps."""
    sizes = np.abs(values)
    states = _walk(_table_indices(sizes), rows, [costs for costs, _ in tables])
    restored = np.empty_like(sizes)
    for group, (own, (_, best)) in enumerate(zip(rows, tables, strict=True)):
        for start in range(own.start, own.stop, _COUNTED):
            at = slice(start, min(start + _COUNTED, own.stop))
            before, after = states[at], states[at.start + 1 : at.stop + 1]
            second = before & 1
            column = 2 * second + (_PARITY.take(after) ^ (before >> 2))
            found = _table_indices(sizes[at])
            k = best.reshape(-1).take(column * best.shape[1] + found).astype(np.intp)
            k += 2 * (((sizes[at] >> _FINER) - found) // _PERIOD)
            restored[at] = 2 * k - second * (k > 0)
            counts.add(group, k, second, restored[at], sizes[at])
    return restored


def _table_indices(sizes: Array) -> NDArray[np.int16]:
    """Return where the tables have values of these sizes."""
    found = sizes >> _FINER
    far = found >= _LINEAR
    if far.any():
        found[far] = _LINEAR + (found[far] - _LINEAR) % _PERIOD
    return found.astype(np.int16, copy=False)


def _walk(wanted: NDArray[np.int16], rows: Sequence[slice], costs: Sequence[Any]) -> NDArray[np.uint8]:
    """Return the best path's states, those before each row and after the last one."""
    height, lanes = wanted.shape
    total = np.full((8, lanes), 1e9, np.float32)
    total[0] = 0
    cost, left, right = (np.empty((count, lanes), np.float32) for count in (4, 8, 8))
    is_right = np.empty((height, 8, lanes), bool)
    for at, table in zip(rows, costs, strict=True):
        for row in range(at.start, at.stop):
            table.take(wanted[row], axis=1, out=cost, mode="clip")
            cost.take(_COLUMN, axis=0, out=left, mode="clip")
            cost.take(_COLUMN ^ 1, axis=0, out=right, mode="clip")
            left.reshape(4, 2, lanes)[...] += total[:4, None]
            right.reshape(4, 2, lanes)[...] += total[4:, None]
            np.less(right, left, out=is_right[row])
            np.minimum(left, right, out=total)
            if row % _RENEWED == 0:
                total -= total.min(axis=0)
    return _backtrack(is_right, total.argmin(axis=0))


def _backtrack(is_right: NDArray[np.bool_], state: NDArray[np.intp]) -> NDArray[np.uint8]:
    height, _, lanes = is_right.shape
    states = np.empty((height + 1, lanes), np.uint8)
    states[height] = state
    lane = np.arange(lanes)
    for row in range(height - 1, -1, -1):
        chosen = is_right[row].reshape(-1).take(state * lanes + lane, mode="clip")
        state = (state >> 1) + 4 * chosen
        states[row] = state
    return states
