"""Which step a tensor gets: found on a sample, then verified on the whole tensor."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fedretina.dom.config import DomConfig
from fedretina.dom.quantisation.bracket import meet_target
from fedretina.dom.quantisation.quantise import Quantised
from fedretina.dom.quantisation.trial import TRELLIS_STEP, Trial
from fedretina.dom.tensors import ulp_exponent

MANTISSAS = 256  # a step is (1 + mantissa / 256) * 2**exponent: .4 % apart, two or three bytes on the wire
MAX_EXPONENT = 1000
MAX_INTEGER = 2**52  # integers stay exact in float64
LATTICE_SLACK = math.sqrt(2)
TOLERANCE = 0.05
_LARGE = 2**16
_LEAST_TARGET = 1e-5  # of a keyframe: below, float32 has no more to give
_SEARCHES, _POWERS = 8, 64
_SEARCHED_TO = 0.01
_PASSES = 5


@dataclass(frozen=True)
class Step:
    """A step as it travels: ``(1 + mantissa / 256) * 2**exponent``, or ``10**-bits`` if `exponent` is None."""

    exponent: int | None
    mantissa: int = 0
    bits: int = 0

    @property
    def size(self) -> float:
        """The step itself."""
        if self.exponent is None:
            return float(f"1e-{self.bits}")  # correctly rounded everywhere, which pow() is not
        return math.ldexp(1 + self.mantissa / MANTISSAS, self.exponent)

    @classmethod
    def near(cls, size: float) -> "Step":
        """Return the step that is nearest to `size`."""
        fraction, exponent = math.frexp(size)
        mantissa = round((2 * fraction - 1) * MANTISSAS)
        return cls(exponent, 0) if mantissa == MANTISSAS else cls(exponent - 1, mantissa)


QuantisedWithStep = tuple[Step, Quantised]
StepChooser = Callable[[Trial], QuantisedWithStep | None]
"""A way to choose the step of one tensor; None where quantising cannot serve it."""


def step_chooser(config: DomConfig, *, has_base: bool) -> StepChooser:
    """Return how a configuration chooses the steps of tensors that have, or do not have, a base."""
    if config.bits is not None and (has_base or config.absolute_keyframes):
        step = Step(None, bits=config.bits)
        return lambda trial: given_step(trial, step)
    choose = lattice_step if config.lattice else relative_step
    if has_base:
        return lambda trial: choose(trial, config.relative_error)
    return lambda trial: choose(trial, keyframe_target(config.keyframe_error, trial.pair.new.size))


def keyframe_target(error: float, size: int) -> float:
    """Return the relative error of a tensor without base: less than `error` for tensors of fewer than 65,536 values.

    Small tensors (depthwise convolutions, first layers) cost few bytes, and much passes through each of their values: with
    the square root of their share, pretrained networks keep features that are four to seven times nearer, for .1 to .2 bits
    a weight (benchmarks/pretrained).

    Examples
    --------
    >>> keyframe_target(0.01, 2**20), keyframe_target(0.01, 2**14)
    (0.01, 0.005)
    """
    return max(error * min(1.0, math.sqrt(size / _LARGE)), min(error, _LEAST_TARGET))


def given_step(trial: Trial, step: Step) -> QuantisedWithStep | None:
    """Quantise with a step (a trellis with the step of about the same error); None if the integers would be too large."""
    if trial.trellis:
        step = Step.near(step.size * TRELLIS_STEP)
    if trial.scale.difference / step.size > MAX_INTEGER:
        return None
    return step, trial.quantise(step.size)


def lattice_step(trial: Trial, target: float) -> QuantisedWithStep | None:
    """Quantise with the largest power of two whose error is at most sqrt(2) times the target: the nearest in log2.

    Targets near 1 allow less, half of what is left to 1: at an error of 1 nothing would ever be sent. The step is never
    under one ulp (in the tensor's dtype) of the largest value in base and new.
    """
    floor = lattice_floor(trial)
    limit = lattice_limit(target)
    exponent = max(floor, search_power(trial, limit))
    found = trial.quantise(math.ldexp(1.0, exponent))
    while found.error > limit and exponent > floor:
        exponent -= 1
        found = trial.quantise(math.ldexp(1.0, exponent))
    while found.error * 2 <= limit:  # the sample may have missed the tensor's few large values
        coarser = trial.quantise(math.ldexp(1.0, exponent + 1))
        if coarser.error > limit:
            break
        exponent, found = exponent + 1, coarser
    return Step(exponent), found


def lattice_limit(target: float) -> float:
    """Return the largest error that a step on the lattice may make."""
    return min(target * LATTICE_SLACK, (1 + target) / 2)


def relative_step(trial: Trial, target: float) -> QuantisedWithStep | None:
    """Quantise so that the error meets the target within 5 % (small tensors: from below, if no step meets it)."""
    size = _search_step(trial, target, math.ldexp(1.0, search_power(trial, target * LATTICE_SLACK)))
    best: Step | None = None
    best_error = 0.0
    for _ in range(_PASSES):
        step = Step.near(size)
        found = trial.quantise(step.size)
        if abs(found.error / target - 1) <= TOLERANCE:
            return step, found
        if best_error < found.error <= target:
            best, best_error = step, found.error
        size *= _correction(target, found.error)
        del found  # two of a tensor's results at once would be too much memory
    if trial.bracketed and (met := _meet(trial, target, size)) is not None:
        return met
    return (best, trial.quantise(best.size)) if best else _descend(trial, size, target)


def _meet(trial: Trial, target: float, size: float) -> QuantisedWithStep | None:
    """Search on where corrected guesses did not meet the target."""
    met = meet_target(trial, target, size, tolerance=TOLERANCE, settle=lambda size: Step.near(size).size)
    return None if met is None else (Step.near(met[1]), met[0].quantise(met[1]))


def _search_step(trial: Trial, target: float, size: float) -> float:
    """Return a step whose error on the sample is near the target, given one to begin with."""
    if trial.compiled_sample is not None:
        return trial.compiled_sample.search_step(target, step=size, tolerance=_SEARCHED_TO, tries=_SEARCHES)
    for _ in range(_SEARCHES):
        error = trial.estimate(size)
        if abs(error / target - 1) < _SEARCHED_TO:
            break
        size *= _correction(target, error)
    return size


def lattice_floor(trial: Trial) -> int:
    """Return the exponent of the finest step that a tensor may have on the lattice."""
    return ulp_exponent(trial.scale.value, trial.pair.new.dtype)


def search_power(trial: Trial, limit: float) -> int:
    """Return the exponent of the largest power of two whose error on the sample is at most `limit`.

    Errors need not rise with the step, so the search comes from above.
    """
    largest = float(np.abs(trial.sample).max())
    exponent = math.frexp(largest)[1] + 1
    if not largest:
        return exponent
    if trial.compiled_sample is not None:
        return trial.compiled_sample.search_power(limit, exponent=exponent, tries=_POWERS)
    for _ in range(_POWERS):
        if trial.estimate(math.ldexp(1.0, exponent)) <= limit:
            break
        exponent -= 1
    return exponent


def _descend(trial: Trial, size: float, target: float) -> QuantisedWithStep | None:
    """Halve the step until the error is small enough: always ends, since a fine enough step is exact."""
    for exponent in range(math.frexp(size)[1], math.frexp(size)[1] - 64, -1):
        if trial.scale.difference / math.ldexp(1.0, exponent) > MAX_INTEGER:
            return None
        found = trial.quantise(math.ldexp(1.0, exponent))
        if found.error <= target * (1 + TOLERANCE):
            return Step(exponent), found
    return None


def _correction(target: float, error: float) -> float:
    return min(max(target / error, 0.5), 2.0) if error else 2.0
