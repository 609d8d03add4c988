"""What integers cost at least: order-0 entropy per tensor, and of classes of weights that are alike."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from codec.schemes.integers import DEAD_ZONE, to_integers
from codec.update import Array, Update

_GROUP = 4096
_CODES_PER_OCTAVE = 4


def per_tensor(update: Update, step: float, *, dead_zone: float = DEAD_ZONE) -> float:
    """Return the bits per weight of each tensor's order-0 entropy; tables cost nothing."""
    return sum(entropy(q) for q in _integers(update, step, dead_zone)) / update.weights


def by_class(update: Update, step: float, *, dead_zone: float = DEAD_ZONE) -> float:
    """Return the same where each class of a tensor has statistics of its own: scales and tables cost nothing.

    Classes are groups of at least 4096 weights, in the order of (output channel's scale) x (input channel's) x (kernel
    position's), to quarters of an octave.
    """
    parts = (part for q in _integers(update, step, dead_zone) for part in _classes(q))
    return sum(entropy(part) for part in parts) / update.weights


def entropy(integers: Array) -> float:
    """Return how many bits an ideal coder needs that knows the histogram.

    Examples
    --------
    >>> entropy(np.array([0, 1, 0, 1]))
    4.0
    """
    counts = np.unique(integers, return_counts=True)[1]
    return float(-(counts * np.log2(counts / integers.size)).sum()) + 0.0


def _integers(update: Update, step: float, dead_zone: float) -> Iterable[NDArray[np.int32]]:
    return (to_integers(values, step, dead_zone=dead_zone) for values in update.delta.values() if values.size)


def _classes(q: NDArray[np.int32]) -> list[Array]:
    groups = q.size // _GROUP
    if q.ndim < 2 or groups < 2:
        return [q]
    axes = np.abs(q.reshape(*q.shape[:2], -1)).astype(np.float64)
    codes = np.zeros(axes.shape)
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        codes += np.rint(_CODES_PER_OCTAVE * np.log2(axes.mean(axis=others, keepdims=True) + 2.0**-16))
    order = np.argsort(codes.reshape(-1), kind="stable")
    return np.array_split(q.reshape(-1)[order], min(groups, 64))
