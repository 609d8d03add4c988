"""Rate-distortion optimised quantisation: an integer gets smaller if the bits that this saves outweigh the error.

For one group of values with common statistics, ``|x|`` becomes k + 1 instead of k where

    (|x| - r_{k+1})**2 + lambda * R_{k+1} < (|x| - r_k)**2 + lambda * R_k

with r_k the value that k is restored to (in steps) and R_k the bits that k costs in this group. That is a threshold per
k; the bits follow from the counts, and the counts from the thresholds, so both are settled in a few rounds.

Values are held in 128ths of a step: small integers, of which a tensor's copies fit into memory.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.quantisation.quantise import Pair
from fedretina.dom.quantisation.rounding import LEVELS
from fedretina.dom.tensors import Array

FINE = 128
_ROUNDS = 3
_TOP = 16  # |q| of this size and more share what a further step costs
_SMOOTHING = 0.5
_FIRST = 0.6  # where the first round puts every threshold
_CHUNK = 2**16


def fine_integers(pair: Pair, *, step: float, largest: float, work: Any) -> Array:
    """Return a tensor's differences in 128ths of a step, as int16 where that holds them."""
    most = (largest / step + 2) * FINE
    fine = np.empty(pair.new.size, np.int16 if most < 2**15 else np.int32 if most < 2**31 else np.int64)
    scale = work(FINE / step)
    for at, difference in pair.blocks(work if fine.itemsize < 8 else np.float64):
        np.multiply(difference, scale, out=difference)
        fine[at] = np.rint(difference, out=difference)
    return fine


def quantise_group(fine: Array, *, rate: float, restored: NDArray[np.float64], out: Array) -> Array:
    """Put the integers of one group into `out`, and return it.

    Parameters
    ----------
    fine : ndarray
        Differences in 128ths of a step.
    rate : float
        Lambda: squared steps that one bit is worth.
    restored : ndarray
        Where |q| = 0, 1, 2, >= 3 are restored to, relative to themselves: 0 and the centroid offsets in steps.
    """
    thresholds = np.full(_TOP + 1, _FIRST)
    for _ in range(_ROUNDS - 1):
        counts = np.zeros(_TOP + 2, np.int64)
        for chunk in _chunks(fine):
            sizes = np.minimum(_sizes(fine[chunk], thresholds), _TOP + 1)
            counts += np.bincount(sizes, minlength=_TOP + 2)
        thresholds = _thresholds(counts, rate, restored)
    for chunk in _chunks(fine):
        sizes = _sizes(fine[chunk], thresholds)
        out[chunk] = np.where(fine[chunk] < 0, -sizes, sizes)
    return out


def _chunks(values: Array) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, values.size, _CHUNK)]


def _sizes(fine: Array, thresholds: NDArray[np.float64]) -> Array:
    """Return |q|."""
    sizes = np.abs(fine)
    lower = sizes >> 7
    limits = (thresholds * FINE).astype(np.int16)
    return lower + ((sizes & (FINE - 1)) > limits.take(lower, mode="clip"))


def _thresholds(counts: NDArray[np.int64], rate: float, restored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for k = 0 to _TOP the fraction of a step above k from which on a value becomes k + 1."""
    smoothed = counts + _SMOOTHING
    bits = -np.log2(smoothed / smoothed.sum())
    bits[1:] += 1  # the sign
    steps = np.diff(bits)
    steps[-2:] = steps[-3]  # the last ones gather a tail
    offsets = restored.take(np.minimum(np.arange(_TOP + 2), LEVELS - 1))
    distance = 1 + np.diff(offsets)
    middle = (offsets[1:] + 1 + offsets[:-1]) / 2
    thresholds: NDArray[np.float64] = np.clip(middle + rate * steps / (2 * distance), 0.05, 0.999)
    return thresholds
