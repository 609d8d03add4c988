"""A sample of a tensor's differences, on which compiled code looks for a step."""

from ctypes import byref
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.kernels.library import (
    ROUNDINGS,
    Float32s,
    Float64s,
    Kernels,
    SampleNumbers,
    float32_place,
    float64_place,
)


@dataclass(frozen=True)
class Prediction:
    """What may predict a sample: singular vectors at its places, and what tells how many of them pay.

    Attributes
    ----------
    left, right : ndarray
        Ranks x places, float32.
    values, left_peaks, right_peaks, octaves : ndarray
        See `fedretina.dom.prediction.lanczos.Svd` and `fedretina.dom.prediction.rates.Spectrum`, float64.
    table : tuple of two ndarrays
        See `fedretina.dom.prediction.rates.cost_table`.
    shape : tuple of int
        The matrix's.
    scale, fineness, finest : float
        See `fedretina.dom.quantisation.predicted.Predictor`.
    rank : int or None
        The number of ranks, where it does not depend on the step.
    """

    left: Float32s
    right: Float32s
    values: Float64s
    left_peaks: Float64s
    right_peaks: Float64s
    octaves: Float64s
    table: tuple[Float64s, Float64s]
    shape: tuple[int, int]
    scale: float
    fineness: float
    finest: float
    rank: int | None


class Sample:
    """Differences, of which compiled code tells the error with a step, and finds the step for an error."""

    def __init__(
        self,
        compiled: Kernels,
        differences: Float64s,
        norm: float,
        *,
        rounding: str,
        offset: float,
        centre: bool,
        prediction: Prediction | None = None,
    ) -> None:
        self._library = compiled.library
        numbers = SampleNumbers(
            size=differences.size, norm=norm, kind=ROUNDINGS.index(rounding), offset=offset, centre=centre
        )
        self._arrays: list[NDArray[Any]] = []  # which the numbers point to
        self._numbers = numbers
        self._point("differences", differences)
        self._point("errors", np.empty(differences.size))
        if prediction is not None:
            self._predict(prediction)

    def estimate(self, step: float) -> float:
        """Return the relative error with a step."""
        return float(self._library.fedretina_estimate(byref(self._numbers), step))

    def search_power(self, limit: float, *, exponent: int, tries: int) -> int:
        """Return the exponent of the largest power of two, from the given one down, whose error is at most `limit`."""
        return int(self._library.fedretina_search_power(byref(self._numbers), limit, exponent, tries))

    def search_step(self, target: float, *, step: float, tolerance: float, tries: int) -> float:
        """Return a step whose error is within the relative `tolerance` of the target, or the last that was tried."""
        return float(self._library.fedretina_search_step(byref(self._numbers), target, step, tolerance, tries))

    def _predict(self, found: Prediction) -> None:
        numbers = self._numbers
        numbers.ranks, (numbers.height, numbers.width) = found.values.size, found.shape
        numbers.fixed_rank = -1 if found.rank is None else found.rank
        numbers.scale, numbers.fineness, numbers.finest = found.scale, found.fineness, found.finest
        numbers.table = found.table[0].size
        for name in ("left", "right", "values", "left_peaks", "right_peaks", "octaves"):
            self._point(name, getattr(found, name))
        self._point("table_octaves", found.table[0])
        self._point("table_costs", found.table[1])
        self._point("residual", np.empty(numbers.size))
        self._point("spare", np.empty(3 * numbers.ranks + 1))

    def _point(self, name: str, array: NDArray[Any]) -> None:
        self._arrays.append(array)
        setattr(self._numbers, name, float32_place(array) if array.dtype == np.float32 else float64_place(array))
