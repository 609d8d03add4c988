"""Small tensors quantised together: those of about the same size of difference share a step (format version 2).

A step of its own takes a small tensor a few bytes, and the search for it far more time than its coding. So tensors whose
differences have the same size within an octave are quantised as if they were one: together they meet the target.
One of 256 values or more has to meet it on its own too.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.coding.integers import narrow, splits
from fedretina.dom.config import DomConfig
from fedretina.dom.format.encoder import LARGEST, SMALLEST, CodedTensor, is_coded_as_vector
from fedretina.dom.format.job import Job
from fedretina.dom.format.spec import LOST, STEPS, Coding, Spec
from fedretina.dom.quantisation.quantise import Pair, Quantised
from fedretina.dom.quantisation.restore import is_narrow
from fedretina.dom.quantisation.steps import TOLERANCE, Step, StepChooser, lattice_limit, step_chooser
from fedretina.dom.quantisation.trial import LEAST_SEARCHED, Trial
from fedretina.dom.tensors import Array, is_float
from fedretina.dom.version import digest_bits

_FEW_VALUES = math.sqrt(2)  # how far the error of a tensor of few values may exceed the target
LARGEST_BUNDLED = 1024  # values; larger tensors may be predicted
_WIDTH = 2.0  # how often the smallest difference of a bundle goes into its largest one, at most


@dataclass(frozen=True)
class _Bundle:
    """Tensors of one dtype, one after the other."""

    specs: Sequence[Spec]
    pair: Pair

    @classmethod
    def of(cls, job: Job, names: Sequence[str]) -> "_Bundle":
        """Put tensors together with what they build on."""
        new = np.concatenate([job.new[name].reshape(-1) for name in names])
        base = np.concatenate([job.old[name].reshape(-1) for name in names])
        return cls([Spec(name, job.new[name].dtype, job.new[name].shape) for name in names], Pair(new, base))

    def take(self, job: Job, chosen: NDArray[np.intp]) -> "_Bundle":
        """Return a bundle of some of the tensors."""
        return self.of(job, [self.specs[place].name for place in chosen.tolist()])

    def split(self, values: Array) -> Iterator[Array]:
        """Yield each tensor's part."""
        return splits(values, [spec.count for spec in self.specs])

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each tensor's sum."""
        starts = np.cumsum([0, *(spec.count for spec in self.specs[:-1])])
        found: NDArray[np.float64] = np.add.reduceat(values, starts)
        return found

    def energies(self) -> NDArray[np.float64]:
        """Return the sum of squares of each tensor's difference; 0 for tensors of whole numbers, which travel exactly."""
        difference = np.concatenate([values for _, values in self.pair.blocks()])
        with np.errstate(over="ignore"):
            found = self.sums(np.square(difference))
        fractional = self.sums((np.trunc(self.pair.new) != self.pair.new).astype(np.float64))
        return np.where(fractional > 0, found, 0.0)


def encode_small(job: Job, chooser: StepChooser | None, *, keep: bool) -> dict[str, CodedTensor]:
    """Return the small tensors of a job that share their steps with others, coded.

    `chooser` says which step all tensors have, if the configuration asks for one.
    """
    if job.config.format == 1:
        return {}
    coded: dict[str, CodedTensor] = {}
    one_step = job.config.has_shared_step or job.config.bits is not None
    for names in _by_dtype(job):
        whole = _Bundle.of(job, names)
        energies = whole.energies()
        for chosen in _alike(whole, energies, one_step=one_step):
            found = _quantise(job, whole.take(job, chosen), chooser)
            if found is not None:
                within = None if one_step else job.config
                coded |= {each.spec.name: each for each in _members(*found, energies[chosen], within, keep)}
    return coded


def _by_dtype(job: Job) -> list[list[str]]:
    """Return the names of the tensors that may be bundled."""
    found: dict[str, list[str]] = {}
    for name in job.kept:
        array = job.new[name]
        small = is_float(array.dtype) and 0 < array.size < LARGEST_BUNDLED
        if small and not is_coded_as_vector(job.config, array.shape) and job.may_lose(name):
            found.setdefault(array.dtype.name, []).append(name)
    return [*found.values()]


def _alike(bundle: _Bundle, energies: NDArray[np.float64], *, one_step: bool) -> Iterator[NDArray[np.intp]]:
    """Yield the places of tensors whose differences have about the same size, two or more together."""
    counts = np.array([spec.count for spec in bundle.specs])
    sizes = np.sqrt(energies / counts)
    left = np.flatnonzero((sizes > SMALLEST) & (sizes < LARGEST))
    while left.size:
        near = np.full(left.size, True) if one_step else sizes[left] * _WIDTH > sizes[left].max()
        if near.sum() > 1:
            yield left[near]
        left = left[~near]


def _quantise(job: Job, bundle: _Bundle, chooser: StepChooser | None) -> tuple[_Bundle, Step, Quantised] | None:
    """Quantise a bundle as if it were one tensor; None where its tensors have to be quantised one by one."""
    trial = replace(Trial.of(bundle.pair, (bundle.pair.new.size,), job.config), trellis=False)
    choose: Callable[[Trial], tuple[Step, Quantised] | None] = chooser or step_chooser(job.config, has_base=True)
    found = choose(trial)
    if found is None or not is_narrow(
        found[1].integers
    ):  # each tensor's own integers decide in which precision it is restored
        return None
    return bundle, *found


def _members(
    bundle: _Bundle,
    step: Step,
    quantised: Quantised,
    energies: NDArray[np.float64],
    within: DomConfig | None,
    keep: bool,
) -> Iterator[CodedTensor]:
    """Yield the tensors of a bundle as the header tells of them, with the bundle's error; without those that miss a target."""
    assert quantised.restored is not None and bundle.pair.base is not None
    integers = narrow(quantised.integers)
    used = bundle.sums(integers != 0)
    sound = _meets_target(bundle, quantised.restored, energies, within)
    parts = zip(bundle.split(integers), bundle.split(quantised.restored), bundle.split(bundle.pair.base), strict=True)
    for place, (own, restored, base) in enumerate(parts):
        if not sound[place]:
            continue
        spec = bundle.specs[place]
        values = restored if used[place] else base
        restored_or_none = values.reshape(spec.shape) if keep else None
        lost = CodedTensor(spec, Coding(LOST), restored_or_none, digest_bits(values), error=1.0, energy=energies[place])
        if not used[place]:
            yield lost
        else:
            fields = {"step": step, "integers": own, "offsets": quantised.offsets, "error": quantised.error}
            yield replace(lost, coding=Coding(STEPS, pooled=True), **fields)


def _meets_target(
    bundle: _Bundle, restored: Array, energies: NDArray[np.float64], config: DomConfig | None
) -> NDArray[np.bool_]:
    """Return which tensors meet the configuration's target on their own: those of few values within a factor."""
    counts = np.array([spec.count for spec in bundle.specs])
    if config is None:
        return np.full(counts.size, True)
    losses = bundle.sums(np.square(np.subtract(bundle.pair.new, restored, dtype=np.float64)))
    errors = np.sqrt(losses / energies)
    if config.lattice:
        limit = lattice_limit(config.relative_error)
        return errors <= np.where(counts < LEAST_SEARCHED, limit * _FEW_VALUES, limit)
    met = np.abs(errors / config.relative_error - 1) <= TOLERANCE
    found: NDArray[np.bool_] = met | ((counts < LEAST_SEARCHED) & (errors <= config.relative_error * _FEW_VALUES))
    return found
