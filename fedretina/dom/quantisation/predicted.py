"""What a prediction of low rank takes from a difference, for any step: the residual is what is quantised.

The finer the step, the more ranks pay, so every step has its own factors. The singular vectors are found once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fedretina.dom.config import Rounding
from fedretina.dom.kernels import Prediction
from fedretina.dom.prediction.factors import Factors, matrix_shape, predict_places, quantise_factors
from fedretina.dom.prediction.lanczos import MAX_SIDE, Krylov, Svd
from fedretina.dom.prediction.rates import Spectrum, cost_table
from fedretina.dom.quantisation.quantise import Pair
from fedretina.dom.tensors import LARGEST, SMALLEST, energy

MIN_SIDE = 4  # rows and columns that a matrix has at least to be predicted
MIN_VALUES = 1024
_STEPS = (20, 28, 48)  # of Lanczos' method, until they are enough
_ACCURATE = 0.6  # of the singular values that so many steps find
_FINEST = 2.0**14  # steps in the largest difference: where they are finer, ranks save next to nothing
# Rounding to nearest spends bits on values of half a step, for little of the error: factors with finer steps, and more of
# them, leave fewer of these. At error .25 that takes 11 to 15 % fewer bytes for a GPT, a ViT and LoRA (see CHANGELOG).
_NEAREST = 0.6
_SURE = 0.5


@dataclass(frozen=True)
class Predictor:
    """The leading singular vectors of a difference and its spectrum, both divided by `scale`; `rank` of them are used.

    `fineness` is the step of the factors over that of the residual.
    """

    svd: Svd
    spectrum: Spectrum
    scale: float
    fineness: float = 1.0
    rank: int | None = None

    @classmethod
    def of(
        cls, pair: Pair, shape: Sequence[int], *, largest: float, coarsest: float, rounding: Rounding
    ) -> "Predictor | None":
        """Look at a difference, given its largest value; None where no prediction can pay.

        `coarsest` is about the step to come, over the root mean square: how many ranks are worth looking for depends on it.
        """
        fineness = _NEAREST if rounding == "nearest" else 1.0
        height, width = matrix_shape(shape) if len(shape) >= 2 else (0, 0)
        if min(height, width) < MIN_SIDE or height * width < MIN_VALUES or not SMALLEST < largest < LARGEST:
            return None
        if max(height, width) > MAX_SIDE:
            return None
        matrix = pair.scaled(largest)
        total = energy(matrix)
        likely = fineness * coarsest * math.sqrt(total / matrix.size)
        space = Krylov(matrix.reshape(height, width))
        for steps in _STEPS:
            spectrum = Spectrum(space.values(steps), total, (height, width))
            rank = 0 if likely * _FINEST < fineness else spectrum.best_rank(likely)
            if rank <= _ACCURATE * steps:
                break
        return cls(space.svd(steps), spectrum, largest, fineness) if rank else None

    @property
    def shape(self) -> tuple[int, int]:
        """The height and the width of the matrix."""
        return self.spectrum.shape

    @property
    def energy(self) -> float:
        """The difference's sum of squares."""
        return self.spectrum.energy * self.scale**2

    def factors(self, step: float) -> Factors | None:
        """Return the ranks that pay beside a residual with this step; None if none does."""
        rank = self._rank(step)
        if not rank:
            return None
        factors = quantise_factors(self.svd, scale=self.scale, step=self.fineness * step, rank=rank)
        return factors if factors.is_exact else None

    def hold_rank(self, step: float) -> "Predictor":
        """Return the predictor with the rank that pays with this step, whatever step it is asked for."""
        return replace(self, rank=self._rank(step))

    def is_sure(self, step: float) -> bool:
        """Tell whether the prediction is expected to halve the bytes, so that nobody needs to try without."""
        costs = self.spectrum.costs(self._scaled(step))
        return bool(costs.min() < _SURE * costs[0])

    def at(self, places: Svd) -> Prediction:
        """Return what compiled code takes to predict some places, given their singular vectors."""
        left, right = self.svd.peaks
        return Prediction(
            left=places.left,
            right=places.right,
            values=self.svd.values,
            left_peaks=left,
            right_peaks=right,
            octaves=self.spectrum.octaves,
            table=cost_table(),
            shape=self.shape,
            scale=self.scale,
            fineness=self.fineness,
            finest=_FINEST,
            rank=self.rank,
        )

    def residual(self, differences: Any, places: Svd, step: float) -> Any:
        """Return what some differences have left with a step, given the singular vectors at their places."""
        rank = self._rank(step)
        if not rank:
            return differences
        predicted = predict_places(self.svd, places, scale=self.scale, step=self.fineness * step, rank=rank)
        return differences if predicted is None else differences - predicted

    def _rank(self, step: float) -> int:
        if self.rank is not None:
            return self.rank
        return 0 if self.scale > _FINEST * step else self.spectrum.best_rank(self._scaled(step))

    def _scaled(self, step: float) -> float:
        """Return the step of the factors in the unit of the spectrum."""
        return self.fineness * step / self.scale
