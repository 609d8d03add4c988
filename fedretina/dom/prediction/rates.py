"""How many ranks pay: the bits and the error that a rank saves in the residual, against those that its factors cost.

Coefficients of one variance cost what a normal distribution of it costs after quantisation: bits, and squared error at the
price of `quantisation.trial.RATE` squared steps a bit.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

PRICE = 0.15  # squared steps that a bit is worth
_LOW, _HIGH, _PER_OCTAVE = -16, 16, 4  # variances that are tabulated, in octaves of squared steps
_OFFSET = 0.35  # of the dead zone
_GRID = np.linspace(-6, 6, 2001)


def costs_by_rank(values: NDArray[np.float64], *, energy: float, shape: tuple[int, int], step: float) -> NDArray[np.float64]:
    """Return what a matrix costs in bits, its error included, with 0, 1, 2 and more of the leading singular values.

    Parameters
    ----------
    values : ndarray
        Singular values, largest first.
    energy : float
        The sum of the matrix's squares.
    step : float
        The residual's step, in the matrix's unit.

    Examples
    --------
    >>> int(costs_by_rank(np.array([100.0, 0.1]), energy=10000.01, shape=(100, 100), step=0.2).argmin())
    1
    """
    height, width = shape
    squares = np.square(values / step)
    left = np.maximum(energy / step**2 - np.cumsum(squares), 0)
    residual = height * width * cost(np.append(energy / step**2, left) / (height * width))
    factors = height * cost(squares / height) + width * cost(squares / width)
    found: NDArray[np.float64] = residual + np.append(0, np.cumsum(factors))
    return found


def cost(variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what coefficients of these variances (in squared steps) cost each, in bits."""
    octaves = np.log2(np.maximum(variances, 2.0**_LOW))
    grid, costs = _table()
    beyond = np.maximum(octaves - _HIGH, 0) / 2  # half a bit an octave
    small = np.minimum(variances * 2.0**-_LOW, 1)
    found: NDArray[np.float64] = small * np.interp(octaves, grid, costs) + beyond
    return found


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    octaves = np.linspace(_LOW, _HIGH, (_HIGH - _LOW) * _PER_OCTAVE + 1)
    costs = np.array([_cost_of(math.sqrt(2.0**octave)) for octave in octaves])
    return octaves, np.maximum.accumulate(costs)


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
