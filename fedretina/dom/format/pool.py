"""Choose which small tensors share a group of integers, the pool.

A tensor in the pool saves a few dozen bytes: the cost of statistics of its own. But running variances may be a hundred steps
wide, and biases one or two steps. Common statistics fit neither, so wide tensors leave the pool.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

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


def _estimate_bytes(counts: NDArray[np.int64], sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate the bytes of integers: the entropy of a geometric distribution of their sizes, and their signs."""
    mean = sums / counts
    sizes = (mean + 1) * np.log2(mean + 1) - mean * np.log2(np.maximum(mean, 2.0**-30))
    found: NDArray[np.float64] = counts * (sizes + mean / (mean + 1)) / 8
    return found
