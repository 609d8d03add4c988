"""Rate-distortion optimised quantisation: an integer is made smaller where that saves more bits than it costs in error.

For one group of values with common statistics, ``|x|`` becomes k + 1 instead of k where

    (|x| - r_{k+1})**2 + lambda * R_{k+1} < (|x| - r_k)**2 + lambda * R_k

with r_k the value that k is restored to (in steps) and R_k the bits that k costs in this group. That is a threshold per
k; the bits follow from the counts, and the counts from the thresholds, so both are settled in a few rounds.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.rounding import LEVELS

_ROUNDS = 3
_TOP = 16  # |q| of this size and more share what a further step costs
_SMOOTHING = 0.5


def quantise_group(x: Any, *, rate: float, restored: NDArray[np.float64]) -> Any:
    """Return the integers of one group, as floats.

    Parameters
    ----------
    x : ndarray
        Differences in steps.
    rate : float
        Lambda: squared steps that one bit is worth.
    restored : ndarray
        Where |q| = 0, 1, 2, >= 3 are restored to, relative to themselves: 0 and the centroid offsets in steps.
    """
    sizes = np.abs(x)
    integers = np.floor(sizes + x.dtype.type(0.4))
    for _ in range(_ROUNDS):
        thresholds = _thresholds(integers, rate, restored)
        lower = np.floor(sizes)
        at = thresholds.take(np.minimum(lower, _TOP).astype(np.intp)).astype(x.dtype)
        integers = lower + (sizes - lower > at)
    return np.copysign(integers, x)


def _thresholds(integers: Any, rate: float, restored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for k = 0 to _TOP the fraction of a step above k from which on a value becomes k + 1."""
    counts = np.bincount(np.minimum(integers, _TOP + 1).astype(np.intp), minlength=_TOP + 2) + _SMOOTHING
    bits = -np.log2(counts / counts.sum())
    bits[1:] += 1  # the sign
    steps = np.diff(bits)
    steps[-2:] = steps[-3]  # the last ones gather a tail
    offsets = restored.take(np.minimum(np.arange(_TOP + 2), LEVELS - 1))
    distance = 1 + np.diff(offsets)
    middle = (offsets[1:] + 1 + offsets[:-1]) / 2
    thresholds: NDArray[np.float64] = np.clip(middle + rate * steps / (2 * distance), 0.05, 0.999)
    return thresholds
