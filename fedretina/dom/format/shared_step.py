"""One step for all differences of a model: given, or a multiple of their RMS.

At equal bytes the sum of squared errors is least where all weights have the same step, and the loss follows that sum far
more closely than it follows each tensor's relative error.
"""

import math
from dataclasses import dataclass

import numpy as np

from fedretina.dom.format.encoder import is_coded_as_vector
from fedretina.dom.format.job import Job
from fedretina.dom.quantisation.quantise import Pair
from fedretina.dom.quantisation.steps import QuantisedWithStep, Step, given_step, lattice_floor
from fedretina.dom.quantisation.trial import Trial
from fedretina.dom.quantisation.vectors import fine_step
from fedretina.dom.tensors import LARGEST, SMALLEST, energy, is_float

_ERROR_PER_STEP = 1 / 8  # the error of predicted matrices over their step, in units of the differences' RMS
_LARGEST_ERROR = 0.25  # of vectors, whatever the step
_LEAST_STEP = 2**-3  # of vectors of both signs, over the step of all others


@dataclass(frozen=True)
class SharedStep:
    """One step for all differences. `vector_error` is the error that vectors may have beside it."""

    size: float
    vector_error: float
    version: int

    @classmethod
    def of(cls, job: Job) -> "SharedStep | None":
        """Return the step that the configuration asks for, or None if each tensor has its own."""
        if not job.config.has_shared_step:
            return None
        rms = _rms(job)
        size = job.config.step if job.config.rms_step is None else job.config.rms_step * rms
        if not size:
            return None
        error = min(_ERROR_PER_STEP * size / rms, _LARGEST_ERROR) if rms else 0.0
        return cls(size, max(job.config.vector_error or 0.0, error), job.config.format)

    def choose(self, trial: Trial) -> QuantisedWithStep | None:
        """Quantise with the step; on the lattice with the nearest power of two that the tensor may have."""
        if not trial.on_lattice:
            return given_step(trial, Step.near(self.size))
        return given_step(trial, Step(max(round(math.log2(self.size)), lattice_floor(trial))))

    def choose_for_vector(self, trial: Trial) -> QuantisedWithStep | None:
        """Quantise a vector about as coarsely as the rest is.

        A transformer's biases for keys are a thousandth of those for queries in the same vector, and do nothing: steps that
        suit them would cost 17 bits a value. So no vector of both signs has a step far below that of all others.
        """
        return fine_step(trial, self.vector_error, version=self.version, least=_LEAST_STEP * self.size)


def _rms(job: Job) -> float:
    """Return the root of the mean square of all differences that are quantised on steps; those outside float64 are exact."""
    total, count = 0.0, 0
    for name, array in job.new.items():
        base = job.base_of(name)
        wide = is_float(array.dtype) and not is_coded_as_vector(job.config, array.shape)
        if base is not None and wide and job.may_lose(name):
            pair = Pair.of(array, base)
            own = math.fsum(energy(difference) for _, difference in pair.blocks(np.float64))
            if SMALLEST**2 < own < LARGEST**2 or not own:
                total += own
                count += array.size
    return math.sqrt(total / count) if count else 0.0
