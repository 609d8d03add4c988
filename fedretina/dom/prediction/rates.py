"""How many ranks pay: the bits and the error that a rank saves in the residual, against those that its factors cost.

Coefficients of one variance cost what a normal distribution of it costs after quantisation: bits, and squared error at the
price of `quantisation.trial.RATE` squared steps a bit.
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

PRICE = 0.15  # squared steps that a bit is worth
_LOW, _HIGH, _PER_OCTAVE = -16, 16, 4  # variances that are tabulated, in octaves of squared steps
_LEAST, _MOST = -48, 2000  # the ends of the table: below there is no cost, between them and what was computed lines
_TINY = 2.0**-1000
_OFFSET = 0.35  # of the dead zone
_GRID = np.linspace(-6, 6, 2001)


@dataclass(frozen=True)
class Spectrum:
    """What tells how many ranks of a matrix pay.

    Attributes
    ----------
    values : ndarray
        The leading singular values, largest first.
    energy : float
        The sum of the matrix's squares.
    shape : tuple of int
        The matrix's height and width.

    Examples
    --------
    >>> Spectrum(np.array([100.0, 0.1]), 10000.01, (100, 100)).best_rank(0.2)
    1
    """

    values: NDArray[np.float64]
    energy: float
    shape: tuple[int, int]

    def best_rank(self, step: float) -> int:
        """Return the number of ranks with which the matrix costs least, with a residual of this step."""
        return int(self.costs(step).argmin())

    def costs(self, step: float) -> NDArray[np.float64]:
        """Return what the matrix costs in bits, its error included, with 0, 1, 2 and more of the leading ranks."""
        (height, width), count = self.shape, self.values.size
        costs = np.interp(self.octaves - 2 * math.log2(step), *cost_table(), left=0.0)
        found: NDArray[np.float64] = height * width * costs[: count + 1]
        found[1:] += np.cumsum(height * costs[count + 1 : 2 * count + 1] + width * costs[2 * count + 1 :])
        return found

    @cached_property
    def octaves(self) -> NDArray[np.float64]:
        """The variances of what 0, 1, 2 and more ranks leave, and of the left and the right factor of each, as octaves."""
        (height, width), squares = self.shape, np.square(self.values)
        left = np.append(self.energy, np.maximum(self.energy - np.cumsum(squares), 0)) / (height * width)
        variances = np.concatenate([left, squares / height, squares / width])
        found: NDArray[np.float64] = np.log2(np.maximum(variances, _TINY))
        return found


@cache
def cost_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return variances as octaves of squared steps, and what a coefficient of each costs in bits.

    Beyond what is computed the cost rises by half a bit an octave; below, it falls with the variance. Octaves are a quarter
    apart, but for the last one.
    """
    octaves = np.linspace(_LOW, _HIGH, (_HIGH - _LOW) * _PER_OCTAVE + 1)
    costs = np.maximum.accumulate([_cost_of(math.sqrt(2.0**octave)) for octave in octaves])
    below = np.arange(_LEAST, _LOW, 1 / _PER_OCTAVE)
    return (
        np.concatenate([below, octaves, [_MOST]]),
        np.concatenate([costs[0] * 2.0 ** (below - _LOW), costs, [costs[-1] + (_MOST - _HIGH) / 2]]),
    )


def _cost_of(deviation: float) -> float:
    chances = np.exp(-np.square(_GRID) / 2)
    chances /= chances.sum()
    x = _GRID * deviation
    if deviation > 2**4:  # the grid is coarser than steps: the limit of fine steps
        return math.log2(deviation * math.sqrt(2 * math.pi * math.e)) + 1 / 12 / PRICE
    q = np.trunc(x + np.copysign(_OFFSET, x))
    counts = np.bincount((q - q.min()).astype(int), weights=chances)
    used = counts[counts > 0]
    return float(-(used * np.log2(used)).sum() + (chances * np.square(x - q)).sum() / PRICE)
