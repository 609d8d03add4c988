"""Small tensors quantised together: those of about the same size of difference share a step (format version 2).

A step of its own takes a small tensor a few bytes, and the search for it far more time than its coding. So tensors whose
differences have the same size within an octave are quantised as if they were one: together they meet the target.
One of 256 values or more has to meet it on its own too.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.coding.integers import narrow, splits
from fedretina.dom.config import DomConfig
from fedretina.dom.format.encoder import CodedTensor, is_coded_as_vector
from fedretina.dom.format.job import Job
from fedretina.dom.format.spec import LOST, STEPS, Coding, Spec
from fedretina.dom.quantisation.quantise import Pair, Quantised
from fedretina.dom.quantisation.restore import is_narrow
from fedretina.dom.quantisation.steps import TOLERANCE, Step, StepChooser, lattice_limit, step_chooser
from fedretina.dom.quantisation.trial import LEAST_SEARCHED, Trial
from fedretina.dom.tensors import LARGEST, SMALLEST, Array, is_float
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
            found = _quantise(job, whole.take(job, chosen), energies[chosen], chooser)
            if found is not None:
                sound = np.full(chosen.size, True) if one_step else found.meets_target(job.config)
                coded |= {each.spec.name: each for each in found.members(sound, keep=keep)}
    return coded


def _by_dtype(job: Job) -> list[list[str]]:
    """Return the names of the tensors that may be bundled."""
    found: dict[str, list[str]] = {}
    for name in job.kept:
        array = job.new[name]
        small = is_float(array.dtype) and 0 < array.size < LARGEST_BUNDLED
        if small and not is_coded_as_vector(job.config, array.shape) and job.may_lose(name) and name not in job.ties:
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


def _quantise(
    job: Job, bundle: _Bundle, energies: NDArray[np.float64], chooser: StepChooser | None
) -> "_QuantisedBundle | None":
    """Quantise a bundle as if it were one tensor; None where its tensors have to be quantised one by one."""
    trial = replace(Trial.of(bundle.pair, (bundle.pair.new.size,), job.config), trellis=False)
    choose: StepChooser = chooser or step_chooser(job.config, has_base=True)
    found = choose(trial)
    if found is None or not is_narrow(found[1].integers):  # a tensor's own integers decide in which precision it is restored
        return None
    step, quantised = found
    assert quantised.restored is not None
    return _QuantisedBundle(bundle, energies, step, narrow(quantised.integers), quantised.restored, quantised)


@dataclass(frozen=True)
class _QuantisedBundle:
    """A bundle, the squares of its tensors' differences, and what quantising it with one step gave."""

    bundle: _Bundle
    energies: NDArray[np.float64]
    step: Step
    integers: Array
    restored: Array
    quantised: Quantised

    def meets_target(self, config: DomConfig) -> NDArray[np.bool_]:
        """Return which tensors meet the configuration's target on their own: those of few values within a factor."""
        few = np.array([spec.count for spec in self.bundle.specs]) < LEAST_SEARCHED
        lost = np.subtract(self.bundle.pair.new, self.restored, dtype=np.float64)
        errors = np.sqrt(self.bundle.sums(np.square(lost)) / self.energies)
        limit = lattice_limit(config.relative_error) if config.lattice else config.relative_error
        met = errors <= limit if config.lattice else np.abs(errors / limit - 1) <= TOLERANCE
        found: NDArray[np.bool_] = met | (few & (errors <= limit * _FEW_VALUES))
        return found

    def members(self, chosen: NDArray[np.bool_], *, keep: bool) -> Iterator[CodedTensor]:
        """Yield the chosen tensors as the payload holds them; their error is the bundle's."""
        base = self.bundle.pair.base
        assert base is not None
        used = self.bundle.sums((self.integers != 0).astype(np.float64)) > 0
        parts = zip(*map(self.bundle.split, (self.integers, self.restored, base)), strict=True)
        for place, (integers, restored, old) in enumerate(parts):
            if chosen[place]:
                values = restored if used[place] else old
                yield self._member(place, values, integers if used[place] else None, keep)

    def _member(self, place: int, values: Array, integers: Array | None, keep: bool) -> CodedTensor:
        """Return a tensor; without integers it is lost."""
        spec, energy = self.bundle.specs[place], float(self.energies[place])
        kept = values.reshape(spec.shape) if keep else None
        if integers is None:
            return CodedTensor(spec, Coding(LOST), kept, digest_bits(values), error=1.0, energy=energy)
        return CodedTensor(
            spec,
            Coding(STEPS, pooled=True),
            kept,
            digest_bits(values),
            self.step,
            integers,
            offsets=self.quantised.offsets,
            error=self.quantised.error,
            energy=energy,
        )
