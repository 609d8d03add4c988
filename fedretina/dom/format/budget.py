"""Rate control: the steps that spend a given number of bytes with the least damage.

The steps of all tensors have fixed ratios. So one number, the scale, is left to be found; bytes fall with it. Differences
have one step: at equal bytes a GPT loses much less of an update's improvement than with equal relative errors
(`python benchmarks/codec --part loss`). Tensors without base, and all in format version 1, have steps by their size.

Sensitivities change the ratios. Squared errors add up to about sum_t w_t * s_t**2 / 12, and a tensor's bits fall by one a
weight when its step doubles, so fine steps do the least damage in proportion to w_t**-0.5. Coarse steps drop most values:
there the Fisher information overstates the ratios. Of the powers -0.5, -0.25 and -0.125 the last lost least on a GPT's
updates of .15 to .3 bits a weight; -0.5 lost more than no sensitivities.

On the lattice steps are powers of two. Where a jump of all would exceed the budget, tensors get the finer step for a part of
their values only.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fedretina.dom.format.coder import coder
from fedretina.dom.format.compose import Composed, compose
from fedretina.dom.format.encoder import CodedTensor, is_coded_as_vector
from fedretina.dom.format.job import Job, encode_job_tensor
from fedretina.dom.format.rotated import RotatedDifferences
from fedretina.dom.quantisation.quantise import Pair
from fedretina.dom.quantisation.steps import QuantisedWithStep, Step, given_step, lattice_floor
from fedretina.dom.quantisation.trial import Trial
from fedretina.dom.tensors import LARGEST, SMALLEST, Array, is_float, root_mean_square
from fedretina.errors import BadArgument

Key = tuple[str, Step | None, int]

_FILLED = 0.985  # good enough; promised are 98 %
_COARSEST, _FINEST = 2.0**7, 2.0**-20
_TRIES = 40
_PARTS = 2**12
_POWER = 0.125


@dataclass
class _Search:
    """A job, each tensor's step at scale 1, and every tensor that was coded so far: no step is tried twice."""

    job: Job
    units: Mapping[str, float]
    coded: dict[Key, CodedTensor] = field(default_factory=dict)

    def compose(self, scale: float, *, fine: float | None = None, parts: int = 0, keep: bool = False) -> Composed:
        """Return the payload at a scale; `parts` of `_PARTS` of what the scale `fine` would refine are refined."""
        return compose(self.job, lambda name: self._encode(name, scale, fine, parts, keep))

    def _encode(self, name: str, scale: float, fine: float | None, parts: int, keep: bool) -> CodedTensor:
        step, doubled = self._step(name, scale), 0
        if fine is not None and step != self._step(name, fine):
            step, doubled = self._step(name, fine), self.job.new[name].size * (_PARTS - parts) // _PARTS
        key = (name, step, doubled)
        if keep or key not in self.coded:
            chooser = None if step is None else lambda trial: _quantise(trial, step, doubled)
            found = encode_job_tensor(self.job, name, chooser=chooser, keep=keep)
            if keep:
                return found
            self.coded[key] = found
        return self.coded[key]

    def _step(self, name: str, scale: float) -> Step | None:
        if name not in self.units:
            return None
        size = scale * self.units[name]
        return Step(round(math.log2(size))) if self.job.config.lattice else Step.near(size)


@dataclass(frozen=True)
class _RotatedSearch:
    """A job, and its differences rotated, once for all steps that are tried: a multiple of their RMS is to be found."""

    job: Job
    differences: RotatedDifferences

    def compose(self, rms_step: float, *, keep: bool = False) -> Composed:
        """Return the payload with a step."""
        job = replace(self.job, config=replace(self.job.config, budget_bytes=None, rms_step=rms_step))
        return compose(job, coder(job, keep=keep, differences=self.differences))


def compose_within(job: Job, sensitivities: Mapping[str, float] | None, *, keep: bool) -> Composed:
    """Code a model in at most `config.budget_bytes`.

    Raises
    ------
    BadArgument
        If even the coarsest payload takes more, or a sensitivity is not positive.
    """
    budget = job.config.budget_bytes
    assert budget is not None
    differences = RotatedDifferences.of(job) if job.config.rotated else None
    search = _RotatedSearch(job, differences) if differences else _Search(job, _units(job, sensitivities))
    least = len(search.compose(_COARSEST).payload)
    if least > budget and job.config.vector_error is not None:  # fine vectors alone would take more
        return compose_within(replace(job, config=replace(job.config, vector_error=None)), sensitivities, keep=keep)
    if least > budget:
        raise BadArgument(
            f"DomConfig.budget_bytes is {budget}; the least that this model can take is {least}; allow that much"
        )
    scale, finer = _bracket(lambda scale: len(search.compose(scale).payload), budget)
    if finer is None or isinstance(search, _RotatedSearch) or not job.config.lattice:
        return search.compose(scale, keep=keep)
    parts = _fill(lambda parts: len(search.compose(scale, fine=finer, parts=parts).payload), budget)
    return search.compose(scale, fine=finer if parts else None, parts=parts, keep=keep)


def _quantise(trial: Trial, step: Step, doubled: int) -> QuantisedWithStep | None:
    """Quantise with a step; on the lattice it must not be under the tensor's own floor."""
    if trial.on_lattice:
        assert step.exponent is not None
        step = Step(max(step.exponent, lattice_floor(trial)))
    if doubled:
        trial = replace(trial, doubled=doubled)
    return given_step(trial, step)


def _units(job: Job, sensitivities: Mapping[str, float] | None) -> dict[str, float]:
    """Return each tensor's step at scale 1."""
    units = {}
    for name, array in job.new.items():
        if is_float(array.dtype) and array.size and job.may_lose(name) and not is_coded_as_vector(job.config, array.shape):
            base = job.base_of(name)
            part = Trial.of(Pair.of(array, base), array.shape, job.config).sample
            units[name] = root_mean_square(part)
    units = {name: size for name, size in units.items() if SMALLEST < size < LARGEST}  # others travel exactly
    if job.config.format > 1:
        units |= _one_unit({name: size for name, size in units.items() if name in job.based}, job.new)
    given = {name: value for name, value in (sensitivities or {}).items() if name in units}
    for name, value in given.items():
        if not (math.isfinite(value) and value > 0):
            raise BadArgument(f"the sensitivity of {name!r} is {value!r}; allowed: a positive number")
    if not given:
        return units
    # Given sensitivities have a unit of their own: the tensor of median step stays where it would be without them.
    power = 0.5 if job.config.format == 1 else _POWER
    ratio = float(np.median([units[name] * value**power for name, value in given.items()]))
    return units | {name: ratio * value**-power for name, value in given.items()}


def _one_unit(sizes: Mapping[str, float], new: Mapping[str, Array]) -> dict[str, float]:
    """Return the root mean square of all differences for each tensor, given each tensor's own."""
    counts = np.array([new[name].size for name in sizes], np.float64)
    scaled = np.array([*sizes.values()]) * np.sqrt(counts)
    return dict.fromkeys(sizes, root_mean_square(scaled) * math.sqrt(len(sizes) / max(counts.sum(), 1.0)))


def _bracket(size_at: Callable[[float], int], budget: int) -> tuple[float, float | None]:
    """Return the finest scale within the budget, and the next finer one that is not; None where it is good enough."""
    under, over = _COARSEST, _FINEST
    under_size, over_size = 0, 0
    scale = 1.0
    for _ in range(_TRIES):
        size = size_at(scale)
        if size > budget:
            over, over_size = scale, size
        else:
            under, under_size = scale, size
        if under_size >= _FILLED * budget or scale == _FINEST:
            return under, None
        if math.log2(under / over) < 1e-3:
            break
        scale = _between(under, over, (over_size - _FILLED * budget) / max(over_size - under_size, 1))
        if not over_size:
            scale = max(under / 4, _FINEST)
    return under, over


def _between(under: float, over: float, part: float) -> float:
    """Return a scale between two; off their ends, so that the interval shrinks."""
    low, high = math.log2(over), math.log2(under)
    return float(2 ** (low + (high - low) * min(max(part, 0.15), 0.85)))


def _fill(size_at: Callable[[int], int], budget: int) -> int:
    """Return how many parts of what is to be refined fit into the budget."""
    low, high, low_size = 0, _PARTS, 0
    while high - low > 1 and low_size < _FILLED * budget:
        middle = (low + high) // 2
        size = size_at(middle)
        if size > budget:
            high = middle
        else:
            low, low_size = middle, size
    return low
