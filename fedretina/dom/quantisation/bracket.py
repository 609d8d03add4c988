"""The step that meets a target for the error, by bisection: for what a few corrected guesses do not reach.

The error of a quantiser rises with its step, but not evenly. RDOQ and trellises drop everything at once when steps grow
coarse, and predictions lose a whole rank. So a search that ends at such a jump goes on with what has none or smaller ones: a
dead zone, or the ranks of the finer side. (The last rank's factors still jump, since their steps are powers of two: an error
below the target costs nothing there.)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from fedretina.dom.quantisation.rounding import Rounder
from fedretina.dom.quantisation.trial import Trial

_TRIES = 30
_JUMP = 2**-6.5  # octaves between two steps on both sides of the target that are near enough to call it a jump
_DEAD_ZONE = 0.3
_LEAST = 1e-9
_FEW_VALUES = 1024
_SCANNED = 64  # steps on either side


@dataclass
class _Bracket:
    """Steps (as powers of two) on both sides of a target, with the logarithms of their errors over it."""

    fine: tuple[float, float] | None = None
    coarse: tuple[float, float] | None = None

    def add(self, octave: float, excess: float) -> None:
        """Take another step's error."""
        if excess <= 0:
            self.fine = (octave, excess)
        else:
            self.coarse = (octave, excess)

    @property
    def is_jump(self) -> bool:
        """Whether the error leaps over the target."""
        return self.fine is not None and self.coarse is not None and self.coarse[0] - self.fine[0] < _JUMP

    def following(self, octave: float) -> float:
        """Return the step to try next."""
        if self.fine is None:
            return octave - 1
        if self.coarse is None:
            return octave + 1
        part = self.fine[1] / (self.fine[1] - self.coarse[1])
        return self.fine[0] + (self.coarse[0] - self.fine[0]) * min(max(part, 0.2), 0.8)


def meet_target(
    trial: Trial, target: float, size: float, *, tolerance: float, settle: Callable[[float], float]
) -> tuple[Trial, float] | None:
    """Return a trial and the step with which it meets the target, or comes nearest to it from below.

    Parameters
    ----------
    trial : Trial
        What is to be quantised.
    target : float
        The relative error.
    size : float
        A step to begin with.
    tolerance : float
        How far the error may be off, relative to the target.
    settle : callable
        Returns the nearest step that can travel.
    """
    search = partial(_bisect, target=target, tolerance=tolerance, settle=settle)
    found = search(trial, size)
    if found is not None and abs(math.expm1(found[1])) <= tolerance:
        return trial, found[0]
    second = _smoother(trial, size if found is None else found[0])
    after = None if second is None else search(second, size if found is None else found[0])
    if second is not None and after is not None and (found is None or abs(after[1]) < abs(found[1])):
        trial, found = second, after
    if found is None:
        return None
    if trial.pair.new.size < _FEW_VALUES and abs(math.expm1(found[1])) > tolerance:
        return trial, _scan(trial, found, target=target, tolerance=tolerance, settle=settle)
    return trial, found[0]


def _scan(
    trial: Trial, found: tuple[float, float], *, target: float, tolerance: float, settle: Callable[[float], float]
) -> float:
    """Return a step near the best one that meets the target: the error of few values crosses it many times."""
    for number in range(1, _SCANNED + 1):
        for octaves in (number * _JUMP, -number * _JUMP):
            step = settle(found[0] * 2**octaves)
            if abs(trial.quantise(step).error / target - 1) <= tolerance:
                return step
    return found[0]


def _smoother(trial: Trial, size: float) -> Trial | None:
    """Return what has fewer jumps than a trial, given its best step; None if there is nothing."""
    if trial.predictor is not None and trial.predictor.factors(size) is not None:
        return replace(trial, predictor=trial.predictor.hold_rank(size))
    if trial.rounder.kind in {"deadzone", "rdoq"}:
        return replace(trial, predictor=None, trellis=False, rate=0.0, rounder=Rounder("deadzone", _DEAD_ZONE))
    return None


def _bisect(
    trial: Trial, size: float, *, target: float, tolerance: float, settle: Callable[[float], float]
) -> tuple[float, float] | None:
    """Return the step that meets the target, or the coarsest one below it, and the logarithm of error over target."""
    bracket, octave = _Bracket(), math.log2(size)
    for _ in range(_TRIES):
        step = settle(2**octave)
        excess = math.log(max(trial.quantise(step).error, _LEAST) / target)
        bracket.add(math.log2(step), excess)
        if abs(math.expm1(excess)) <= tolerance:
            return step, excess
        if bracket.is_jump:
            break
        octave = bracket.following(octave)
    return None if bracket.fine is None else (settle(2 ** bracket.fine[0]), bracket.fine[1])
