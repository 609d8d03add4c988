"""One step for all differences of a model: given, or a multiple of their RMS.

At equal bytes the sum of squared errors is least where all weights have the same step, and the loss follows that sum far
more closely than it follows each tensor's relative error.
"""

import math

import numpy as np

from fedretina.dom.format.encoder import is_coded_as_vector
from fedretina.dom.format.job import Job
from fedretina.dom.quantisation.quantise import Pair
from fedretina.dom.quantisation.steps import QuantisedWithStep, Step, StepChooser, given_step, lattice_floor
from fedretina.dom.quantisation.trial import Trial
from fedretina.dom.tensors import energy, is_float


def shared_step(job: Job) -> float | None:
    """Return the step that the configuration asks for all differences, or None if each tensor has its own."""
    if job.config.step is not None:
        return job.config.step
    if job.config.rms_step is None:
        return None
    return job.config.rms_step * _rms(job) or None


def shared_step_chooser(size: float) -> StepChooser:
    """Return a chooser of one step for all tensors; on the lattice the nearest power of two that a tensor may have."""

    def choose(trial: Trial) -> QuantisedWithStep | None:
        if not trial.on_lattice:
            return given_step(trial, Step.near(size))
        return given_step(trial, Step(max(round(math.log2(size)), lattice_floor(trial))))

    return choose


def _rms(job: Job) -> float:
    """Return the root of the mean square of all differences that are quantised on steps."""
    total, count = 0.0, 0
    for name, array in job.new.items():
        base = job.base_of(name)
        wide = is_float(array.dtype) and not is_coded_as_vector(job.config, array.shape)
        if base is not None and wide and job.may_lose(name):
            pair = Pair(array.reshape(-1), base.reshape(-1))
            total += math.fsum(energy(difference) for _, difference in pair.blocks(np.float64))
            count += array.size
    return math.sqrt(total / count) if count else 0.0
