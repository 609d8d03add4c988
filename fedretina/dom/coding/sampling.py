"""Which of a tensor's values to look at, where looking at all of them would take too long."""

import math

import numpy as np
from numpy.typing import NDArray


def sample_indices(size: int, count: int) -> NDArray[np.int64] | slice:
    """Return at most `count` places among `size`, spread over them by the golden ratio, without chance.

    Multiples of a number without common divisor with the size: no channel or kernel position is preferred.

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
