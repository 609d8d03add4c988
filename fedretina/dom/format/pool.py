"""Choose which small tensors share a group of integers, a pool.

A tensor in a pool saves a few dozen bytes: the cost of statistics of its own. But running variances may be a hundred steps
wide, and biases one or two steps. Common statistics fit neither. So version 2 has up to eight pools, of tensors with
integers that are alike; version 1 has one, and wide tensors leave it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.coding.integers import pack
from fedretina.dom.config import Effort
from fedretina.dom.format.encoder import CodedTensor
from fedretina.dom.format.spec import STEPS, Coding
from fedretina.dom.tensors import Array

_POOLED = Coding(STEPS, pooled=True)
_STATISTICS = 40  # bytes that statistics of its own cost a tensor
_HEADER = 6  # bytes that a group more takes in the header
MAX_POOLS = 8
_CLASSES_PER_OCTAVE = 2  # of the integers' mean size: tensors of one class are never parted
_LEAST_MEAN = 2.0**-8


def split_pool(coded: Sequence[CodedTensor], effort: Effort) -> list[CodedTensor]:
    """Return a model's tensors with the pooled ones divided among the pools that take the fewest bytes (version 2).

    A pool of one tensor is no pool: version 1 can say it.
    """
    places = [place for place, each in enumerate(coded) if each.coding == _POOLED]
    members = {place: integers for place in places if (integers := coded[place].integers) is not None and integers.size}
    numbers = _pool_numbers([*members.values()]) if members else []
    counts, found = Counter(numbers), [*coded]
    for place, number in zip(members, numbers, strict=True):
        if counts[number] > 1:
            found[place] = replace(coded[place], coding=replace(_POOLED, pool=number))
        else:
            found[place] = replace(coded[place], coding=Coding(STEPS), pieces=pack(members[place], effort))
    return found


def _pool_numbers(parts: Sequence[Array]) -> list[int]:
    """Return which pool each array of integers goes to: those of like mean size together."""
    counts = np.array([part.size for part in parts])
    ends = np.cumsum(counts)
    running = np.cumsum(np.abs(np.concatenate(parts).astype(np.float64)))
    sums = np.diff(running[ends - 1], prepend=0.0)
    octaves = np.rint(_CLASSES_PER_OCTAVE * np.log2(np.maximum(sums / counts, _LEAST_MEAN)))
    class_of = np.unique(octaves, return_inverse=True)[1].reshape(-1)
    firsts = _cheapest_cuts(*(np.bincount(class_of, weights=each).astype(np.float64) for each in (counts, sums)))
    found: list[int] = (np.searchsorted(firsts, class_of, side="right") - 1).tolist()
    return found


def _cheapest_cuts(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> list[int]:
    """Return the first class of each pool: consecutive classes share one, and all together take the fewest bytes."""
    classes = counts.size
    totals, sizes = (np.append(0, np.cumsum(each)) for each in (counts, sums))
    costs = np.full((MAX_POOLS + 1, classes + 1), np.inf)  # of the first classes, in so many pools
    costs[0, 0] = 0
    begins = np.zeros((MAX_POOLS + 1, classes + 1), np.intp)
    for end in range(1, classes + 1):
        own = _estimate_bytes(totals[end] - totals[:end], sizes[end] - sizes[:end]) + _STATISTICS + _HEADER
        for pools in range(1, MAX_POOLS + 1):
            whole = costs[pools - 1, :end] + own
            begins[pools, end] = whole.argmin()
            costs[pools, end] = whole.min()
    return [*_trace(begins, int(costs[:, classes].argmin()), classes)][::-1]


def _trace(begins: NDArray[np.intp], pools: int, end: int) -> Iterator[int]:
    """Yield the first class of each pool, from the last pool on."""
    for left in range(pools, 0, -1):
        end = int(begins[left, end])
        yield end


def unpool_wide(coded: Sequence[CodedTensor], effort: Effort) -> list[CodedTensor]:
    """Return a model's tensors; those that are too wide for the pool are taken out of it, if that saves bytes."""
    pool = {place: each.integers for place, each in enumerate(coded) if each.coding == _POOLED and each.integers is not None}
    wide = _find_wide(pool)
    alone = {place: pack(pool[place], effort) for place in wide}
    rest = [pool[place] for place in pool if place not in alone]
    apart = _size(rest, effort) + sum(_HEADER + sum(map(len, pieces)) for pieces in alone.values())
    if not alone or apart >= _size([*pool.values()], effort):
        return [*coded]
    return [
        replace(each, coding=Coding(STEPS), pieces=alone[place]) if place in alone else each
        for place, each in enumerate(coded)
    ]


def _size(parts: Sequence[Array], effort: Effort) -> int:
    """Return how many bytes a pool takes."""
    return sum(map(len, pack(np.concatenate(parts), effort))) if parts else 0


def _find_wide(pool: Mapping[int, Array]) -> list[int]:
    """Return the tensors to take out of the pool: the widest ones, as many as save bytes."""
    places = [place for place, integers in pool.items() if integers.size]
    counts = np.array([pool[place].size for place in places])
    sums = np.array([np.abs(pool[place].astype(np.float64)).sum() for place in places])
    order = np.argsort(-sums / counts, kind="stable")
    counts, sums = counts[order], sums[order]
    bytes_alone = np.cumsum(_estimate_bytes(counts, sums) + _STATISTICS)
    bytes_left = _estimate_bytes(np.cumsum(counts[::-1]), np.cumsum(sums[::-1]))[::-1]
    totals = np.append(bytes_left, 0) + np.append(0, bytes_alone)
    return [places[at] for at in order[: int(totals.argmin())]]


def _estimate_bytes(counts: NDArray[Any], sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate the bytes of integers: the entropy of a geometric distribution of their sizes, and their signs."""
    mean = sums / counts
    sizes = (mean + 1) * np.log2(mean + 1) - mean * np.log2(np.maximum(mean, 2.0**-30))
    found: NDArray[np.float64] = counts * (sizes + mean / (mean + 1)) / 8
    return found
