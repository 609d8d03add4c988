"""Choose a sample of a tensor's values."""

import math

import numpy as np
from numpy.typing import NDArray


def sample_indices(size: int, count: int) -> NDArray[np.int64] | slice:
    """Return at most `count` of `size` places, spread evenly and always the same.

    The places are multiples of a number near the golden ratio of `size` that has no common divisor with it. So no
    channel and no kernel position is preferred.

    Examples
    --------
    >>> sorted(sample_indices(9, 4).tolist())
    [0, 1, 5, 6]
    """
    if size <= count:
        return slice(None)
    step = max(1, int(size * 0.618))
    while math.gcd(step, size) > 1:
        step += 1
    return np.arange(count) * step % size
