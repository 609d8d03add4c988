"""Fine steps for vectors: norms, biases, running statistics and scalars.

Vectors are about a percent of a model's bytes, and a network is sensitive to each of their values: with an error of 25
% of its change, a running variance may become negative. So the step depends on the values themselves and on their
change.
"""

import math
from collections.abc import Sequence

import numpy as np

from fedretina.dom.quantisation.steps import QuantisedWithStep, Step, StepChooser, lattice_floor
from fedretina.dom.quantisation.trial import Trial
from fedretina.dom.tensors import Array, energy

LARGEST = 2**16  # values; a longer vector is a whole model that somebody flattened
_PER_VALUE = 2**-6  # the largest step over the size of the values that count
_FEW = 0.05  # of the values of both signs, so many may be smaller than what counts
_FEW_ALIKE, _LEAST_ALIKE, _ALIKE = 0.25, 64, 256  # of so many values of about one size, which a normal distribution has
_MAX_BITS = 20  # integers that are wider cost as much as the values themselves: these travel exactly


def is_vector(shape: Sequence[int]) -> bool:
    """Tell whether a tensor of this shape is a vector or a scalar: all its dimensions but one are 1.

    Examples
    --------
    >>> [is_vector(shape) for shape in ((), (64,), (1, 64, 1, 1), (2, 64))]
    [True, True, True, False]
    """
    size = math.prod(shape)
    return 0 < size <= LARGEST and size == max(shape, default=1)


def vector_step_chooser(target: float, *, version: int) -> StepChooser:
    """Return how vectors get their steps, for a relative error of the difference; see `fine_step`."""
    return lambda trial: fine_step(trial, target, version=version)


def fine_step(trial: Trial, target: float, *, version: int, least: float = 0.0) -> QuantisedWithStep | None:
    """Quantise a vector finely, or return None where it should travel exactly.

    The step is small against the difference (a relative error of at most `target`) and against the values (1/64 of those
    that count, see `scale_of`): so small updates are not lost, and a variance that falls to a twentieth stays positive.
    Values of both signs need no step below `least`.
    """
    change = math.sqrt(12 * energy(trial.sample) / trial.sample.size) * target
    new = trial.pair.new
    size = min(change, max(scale_of(new, version=version) * _PER_VALUE, 0.0 if has_one_sign(new) else least))
    if not size or trial.scale.difference / size > 2.0**_MAX_BITS:
        return None
    if not trial.on_lattice:
        step = Step.near(size)
        return step, trial.quantise(step.size)
    exponent = math.frexp(size)[1] - 1
    if exponent < lattice_floor(trial):
        return None
    return Step(exponent), trial.quantise(math.ldexp(1.0, exponent))


def scale_of(values: Array, *, version: int) -> float:
    """Return the size of the values that count: of one sign the smallest, else the 5th percentile of their sizes.

    Variances and scales have one sign, and each divides or multiplies a channel. Means and biases pass through 0, where
    their own size says nothing. Zeros do not count. In payloads of version 2 it is the 25th percentile where a vector has
    64 values and the largest is at most 256 times the 5th percentile. Then the values are of one size, as biases are, and
    the few that happen to be near 0 need no finer step. (Means of a table's columns may be of very different sizes.)

    Examples
    --------
    >>> scale_of(np.array([1.0, 0.05, 0.0]), version=2)
    0.05
    """
    sizes = np.abs(values[values != 0].astype(np.float64))
    if not sizes.size:
        return 0.0
    if has_one_sign(values):
        return float(sizes.min())
    at = [int(share * (sizes.size - 1)) for share in (_FEW, _FEW_ALIKE)]
    few, few_alike = np.partition(sizes, at)[at].tolist()
    is_alike = version > 1 and sizes.size >= _LEAST_ALIKE and sizes.max() <= _ALIKE * few
    return float(few_alike if is_alike else few)


def has_one_sign(values: Array) -> bool:
    """Tell whether no two values are of opposite signs.

    Examples
    --------
    >>> has_one_sign(np.array([0.5, 0.0])), has_one_sign(np.array([0.5, -0.5]))
    (True, False)
    """
    return not (values < 0).any() or not (values > 0).any()
