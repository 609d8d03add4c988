"""What a prediction of low rank takes from a difference, for any step: the residual is what is quantised.

The finer the step, the more ranks pay, so every step has its own factors. The singular vectors are found once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.config import Rounding
from fedretina.dom.prediction.factors import Factors, matrix_shape, quantise_factors
from fedretina.dom.prediction.lanczos import Krylov, Svd
from fedretina.dom.prediction.rates import costs_by_rank
from fedretina.dom.quantisation.quantise import Pair
from fedretina.dom.tensors import LARGEST, SMALLEST, energy

MIN_SIDE = 4  # rows and columns that a matrix has at least to be predicted
MIN_VALUES = 1024
_FEW_STEPS, _STEPS = 20, 48  # of Lanczos' method
_ACCURATE = 0.6  # of the singular values that so many steps find
_FINEST = 2.0**14  # steps in the largest difference: where they are finer, ranks save next to nothing
# Rounding to nearest spends bits on values of half a step, for little of the error: factors with finer steps, and more of
# them, leave fewer of these. At error .25 that takes 11 to 15 % fewer bytes for a GPT, a ViT and LoRA (see CHANGELOG).
_NEAREST = 0.6
_SURE = 0.5


@dataclass(frozen=True)
class Predictor:
    """The leading singular vectors of a difference, divided by `scale`, and its energy; `rank` says how many are used.

    `fineness` is the step of the factors over that of the residual.
    """

    svd: Svd
    shape: tuple[int, int]
    scale: float
    energy: float
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
        matrix = np.empty(height * width, np.float32)
        for at, difference in pair.blocks():
            np.divide(difference, largest, out=matrix[at], casting="same_kind")
        total = energy(matrix)
        likely = coarsest * math.sqrt(total / matrix.size) * largest
        space = Krylov(matrix.reshape(height, width))
        for steps in (_FEW_STEPS, _STEPS):
            found = cls(space.svd(steps), (height, width), largest, total * largest**2, fineness)
            if found._rank(likely) <= _ACCURATE * steps:
                break
        return found if found._rank(likely) else None

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
        costs = self._costs(step)
        return bool(costs.min() < _SURE * costs[0])

    def residual(self, differences: Any, cells: tuple[Any, Any], step: float) -> Any:
        """Return what some differences, given their rows and columns, have left with a step."""
        factors = self.factors(step)
        return differences if factors is None else differences - factors.at(*cells)

    def _rank(self, step: float) -> int:
        if self.rank is not None:
            return self.rank
        return 0 if self.scale > _FINEST * step else int(self._costs(step).argmin())

    def _costs(self, step: float) -> NDArray[np.float64]:
        energy = self.energy / self.scale**2
        return costs_by_rank(self.svd.values, energy=energy, shape=self.shape, step=self.fineness * step / self.scale)
