"""Integer factors of a matrix, and their product: the same bits on every machine, in whatever order it is summed.

The prediction is ``sum_r 2**e_r * left[r, i] * right[r, j]``. All terms are multiples of the smallest 2**e_r, and together
they stay below 2**53 of it, so every partial sum is exact in float64.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.kernels import kernels
from fedretina.dom.prediction.lanczos import Svd
from fedretina.dom.tensors import Array

MIN_EXPONENT, MAX_EXPONENT = -900, 900
_EXACT_BITS = 53
_STRIP = 2**15  # values that are predicted at once


@dataclass(frozen=True)
class Factors:
    """Rows of integers, one of each kind per rank, and the exponents of their products' units.

    On a lattice, `unit` is the exponent of the multiples to which the prediction is rounded.
    """

    left: Array
    right: Array
    exponents: tuple[int, ...]
    unit: int | None = None

    @property
    def rank(self) -> int:
        """How many products are added."""
        return len(self.exponents)

    @property
    def columns(self) -> int:
        """How many values a row of the matrix has."""
        return int(self.right.shape[1])

    @property
    def is_exact(self) -> bool:
        """Whether float64 holds every sum exactly."""
        return _is_exact(_largest(self.left), _largest(self.right), self.exponents)

    def rows(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return some rows of the prediction."""
        found: NDArray[np.float64] = np.einsum("ir,rj->ij", self._left[start:stop], self._right)
        return found

    @cached_property
    def _left(self) -> NDArray[np.float64]:
        # A product's unit goes to its left factor: powers of two change no bit.
        scaled: NDArray[np.float64] = np.multiply(self.left.T, _powers(self.exponents), order="C")
        return scaled

    @cached_property
    def _right(self) -> NDArray[np.float64]:
        return self.right.astype(np.float64)


def quantise_factors(svd: Svd, *, scale: float, step: float, rank: int) -> Factors:
    """Return the integers of the leading ranks.

    ``u_r * s_r`` and ``v_r * s_r`` both get about the residual's step: so all coefficients have the same error.
    Only the product of the steps of ``u_r`` and ``v_r`` travels, as a power of two.

    Parameters
    ----------
    svd : Svd
        Of the matrix, divided by `scale`.
    step : float
        The residual's step.
    """
    exponents, fineness = _fineness(svd, scale=scale, step=step, rank=rank)
    left, right = (np.rint(part[:rank] * fineness[:, None]).astype(np.int64) for part in (svd.left, svd.right))
    return Factors(left, right, tuple(exponents.tolist()))


def predict_places(whole: Svd, places: Svd, *, scale: float, step: float, rank: int) -> NDArray[np.float64] | None:
    """Return what the factors that `quantise_factors` makes of `whole` predict at some places; None if they are not exact.

    `places` has the singular vectors of the places: one column of each kind for every place (see `Svd.at`).
    """
    exponents, fineness = _fineness(whole, scale=scale, step=step, rank=rank)
    scales = _powers(exponents)
    left_peaks, right_peaks = (np.rint(peaks[:rank] * fineness) for peaks in whole.peaks)
    if np.cumsum(left_peaks * right_peaks * scales)[-1] >= math.ldexp(1.0, int(exponents.min()) + _EXACT_BITS):
        return None
    left, right = (part[:rank] * fineness[:, None] for part in (places.left, places.right))
    np.rint(left, out=left)
    np.rint(right, out=right)
    left *= scales[:, None]
    found: NDArray[np.float64] = np.einsum("rk,rk->k", left, right)
    return found


def _fineness(svd: Svd, *, scale: float, step: float, rank: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the exponents of the leading ranks, and how many units of their integers 1 has in both singular vectors."""
    sizes = svd.values[:rank] * scale
    fractions, exponents = np.frexp(step * step / sizes)
    exponents = (exponents - (fractions < math.sqrt(0.5))).astype(np.int64)  # the nearest in log2
    return exponents, np.sqrt(sizes / _powers(exponents))


def _powers(exponents: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.ldexp(1.0, exponents)
    return found


def _is_exact(left: Sequence[int], right: Sequence[int], exponents: Sequence[int]) -> bool:
    """Tell whether float64 holds all sums exactly, given the largest integers of each rank's factors."""
    unit = min(exponents)
    bound = sum(one * other << exponent - unit for one, other, exponent in zip(left, right, exponents, strict=True))
    return not bound >> _EXACT_BITS


def predict(
    factors: Factors, base: Array | None, *, dtype: np.dtype[Any], empty: Callable[[int, Any], Array] = np.empty
) -> Array:
    """Return the base (zeros without one) plus the prediction, flat, in the precision in which tensors are restored.

    Parameters
    ----------
    base : ndarray or None
        Flat.
    dtype : dtype
        The tensor's. Up to 4 bytes are restored in float32, others in float64; the sum is rounded once, to nearest even.
    empty : callable, default numpy.empty
        Makes the array, given its size and dtype.
    """
    work = np.float32 if dtype.itemsize <= 4 else np.float64
    predicted = empty(factors.left.shape[1] * factors.columns, work)
    compiled = kernels()
    if compiled is not None and work is np.float32 and (base is None or base.dtype == np.float32):
        unit = 0.0 if factors.unit is None else math.ldexp(1.0, factors.unit)
        compiled.predict(factors._left, factors._right, unit, base, predicted)
    else:
        _predict(factors, base, predicted)
    return predicted


def _predict(factors: Factors, base: Array | None, predicted: Array) -> None:
    height, width = factors.left.shape[1], factors.columns
    most = max(1, _STRIP // width)
    limit = np.finfo(predicted.dtype).max
    for start in range(0, height, most):
        at = slice(start * width, min(start + most, height) * width)
        values = factors.rows(start, start + most).reshape(-1)
        if factors.unit is not None:
            values *= math.ldexp(1.0, -factors.unit)
            np.rint(values, out=values)
            values *= math.ldexp(1.0, factors.unit)
        if base is not None:
            values += base[at].astype(np.float64, copy=False)
        predicted[at] = np.clip(values, -limit, limit, out=values)


def matrix_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Return the height and width of a tensor as a matrix: its first dimension, and the product of the others."""
    return shape[0], math.prod(shape[1:])


def _largest(integers: Array) -> list[int]:
    low, high = (part.astype(np.int64) for part in (integers.min(axis=1), integers.max(axis=1)))
    found: list[int] = np.maximum(-low, high).tolist()
    return found
