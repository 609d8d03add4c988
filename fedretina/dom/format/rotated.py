"""All differences of a model as one vector, rotated and quantised with one step, and scaled so that the mean is right."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.coding.integers import narrow, pack, splits
from fedretina.dom.config import Effort
from fedretina.dom.format.encoder import CodedTensor, encode_tensor, holds_whole_numbers, is_coded_as_vector
from fedretina.dom.format.job import Job, size_of
from fedretina.dom.format.spec import ROTATED, Coding, Spec
from fedretina.dom.quantisation.quantise import Pair, Quantised, measure
from fedretina.dom.quantisation.rotation import Rotation
from fedretina.dom.quantisation.steps import Step
from fedretina.dom.tensors import LARGEST, SMALLEST, energy, is_float, root_mean_square

_LARGEST_STEP = 1.5  # over the largest value: it is always sent, or a small model would never move
_FINEST = 2.0**-24  # steps over the RMS; finer ones say nothing more of float32
# Units in the last place: what a mean of equal tensors may be off. A frozen tensor's noise, as large as all others after
# scaling, would take their place.
_NOISE = 2.0
_TRIES, _FINER = 12, 2**-0.25  # of steps, each so many times the one before
_LOSSLESS = 0.25  # of their bytes: lossless differences, all of whose values changed, hardly take fewer
# How far a tensor may be from right in the mean with the given step and with finer ones, beside what its noise explains.
_OFF_AT_FIRST, _OFF, _DEVIATIONS = 0.5, 0.25, 4


@dataclass(frozen=True)
class RotatedDifferences:
    """The differences of a job, rotated together: all tensors that may lose, build on the base, and differ from it.

    Each tensor is divided by the power of two that is nearest to its RMS, so that errors are in proportion to its own
    difference. The rotation follows from the base's digest: in a round, the replies of all nodes rotate alike, and so does
    the server's next model, whose difference is a sum of theirs. It is as sparse there as they are.
    """

    job: Job
    specs: list[Spec]
    pairs: list[Pair]
    exponents: list[int]
    rotation: Rotation
    rotated: NDArray[np.float32]

    @classmethod
    def of(cls, job: Job) -> "RotatedDifferences | None":
        """Rotate a job's differences; None if there are none."""
        exponents = {name: each for name in job.order if (each := _exponent(job, name)) is not None}
        if not exponents or job.base is None:
            return None
        pairs = [Pair.of(job.new[name], job.base_of(name)) for name in exponents]
        vector = np.concatenate([_scaled(pair, -each) for pair, each in zip(pairs, exponents.values(), strict=True)])
        rotation = Rotation(vector.size, bytes.fromhex(job.base.digest))
        specs = [Spec(name, job.new[name].dtype, job.new[name].shape) for name in exponents]
        return cls(job, specs, pairs, [*exponents.values()], rotation, rotation.rotate(vector))

    def encode(self, rms_step: float, *, effort: Effort, keep: bool) -> dict[str, CodedTensor]:
        """Return the tensors, coded with one step: the given one, or the next finer one that is right for all tensors.

        Where that takes no fewer bytes than the tensors as they are, nothing is lost.
        """
        coded = self._encode(rms_step, effort, keep)
        size = sum(size_of(each, effort) for each in coded)
        if size > self._least_of_lossless and size >= sum(size_of(each, effort) for each in self._exact):
            coded = self._exact
        return {each.spec.name: each for each in coded}

    @cached_property
    def _least_of_lossless(self) -> float:
        """The bytes that lossless differences hardly come under: in proportion to the values that changed."""
        changed = (sum(int(np.count_nonzero(block)) for _, block in pair.blocks()) for pair in self.pairs)
        return _LOSSLESS * sum(pair.new.itemsize * count for pair, count in zip(self.pairs, changed, strict=True))

    @cached_property
    def _exact(self) -> list[CodedTensor]:
        job = self.job
        names = [spec.name for spec in self.specs]
        return [encode_tensor(name, job.new[name], job.base_of(name), job.config, exact=True) for name in names]

    def _encode(self, rms_step: float, effort: Effort, keep: bool) -> list[CodedTensor]:
        integers, unit, parts = self._quantised(rms_step)
        coded = []
        for spec, exponent, pair, part in zip(self.specs, self.exponents, self.pairs, parts, strict=True):
            step = replace(unit, exponent=(unit.exponent or 0) + exponent)
            found = measure(pair, part, step=step.size, offsets=b"", work=np.float64, keep=keep)
            coded.append(_coded_tensor(spec, step, found))
        coded[0] = replace(coded[0], pieces=pack(integers, effort))
        return [*_with_one_error(coded)]

    def _quantised(self, rms_step: float) -> tuple[Any, Step, list[Any]]:
        """Return integers, the step of what they are rotated back, and that, by tensor.

        What a server sends is a mean of a few nodes' integers: few different values, of which a step may drop all of one
        size. A tensor that counts more or less here than it did at the nodes then gets noise, and not its difference. So
        each tensor's own difference is looked for in what will be decoded; where it is not there, steps become finer.
        """
        sizes = [pair.new.size for pair in self.pairs]
        for number in range(_TRIES):
            integers, scale = _quantised(self.rotated, max(rms_step * _FINER**number, _FINEST))
            unit = Step.near(scale * 0.5**self.rotation.exponent)
            parts = list(splits(self.rotation.unrotate(integers), sizes))
            scales = (math.ldexp(unit.size, exponent) for exponent in self.exponents)
            is_right = partial(_is_right_in_the_mean, off=_OFF if number else _OFF_AT_FIRST)
            if all(map(is_right, self.pairs, parts, scales)):
                break
        return integers, unit, parts


def _exponent(job: Job, name: str) -> int | None:
    """Return the exponent of the power of two nearest to the RMS of a difference; None if it is not rotated.

    What averaging has rounded is no difference: frozen tensors are not rotated.
    """
    new = job.new[name]
    if not is_float(new.dtype) or is_coded_as_vector(job.config, new.shape) or not job.may_lose(name) or name in job.ties:
        return None
    base = job.base_of(name)
    if base is None or holds_whole_numbers(new.reshape(-1)):
        return None
    root = _root_of(Pair.of(new, base))
    noise = _NOISE * float(np.finfo(new.dtype).eps) * _root_of(Pair.of(base, None)) if new.dtype.itemsize > 2 else 0.0
    return round(math.log2(root)) if max(SMALLEST, noise) < root < LARGEST else None


def _root_of(pair: Pair) -> float:
    """Return the root of the mean square of a difference."""
    roots = [root_mean_square(values) * math.sqrt(values.size) for _, values in pair.blocks()]
    return math.hypot(*roots) / math.sqrt(max(1, pair.new.size))


def _scaled(pair: Pair, exponent: int) -> NDArray[np.float32]:
    """Return a difference times a power of two."""
    scaled = np.empty(pair.new.size, np.float32)
    for at, difference in pair.blocks():
        scaled[at] = np.ldexp(difference, exponent)
    return scaled


def _quantised(rotated: NDArray[np.float32], rms_step: float) -> tuple[Any, float]:
    """Return integers, and the factor that makes them right in the mean over rotations (EDEN, Theorem 2.1)."""
    total = energy(rotated.astype(np.float64))
    step = min(rms_step * math.sqrt(total / rotated.size), _LARGEST_STEP * float(np.abs(rotated).max()))
    integers = np.rint(rotated / np.float32(step))
    aligned = float(np.einsum("i,i->", rotated, integers, dtype=np.float64))
    return narrow(integers.astype(np.int64)), total / aligned


def _is_right_in_the_mean(pair: Pair, part: Any, step: float, *, off: float) -> bool:
    """Tell whether a decoded difference is the true one plus noise that has nothing to do with it."""
    own = decoded = aligned = 0.0
    for at, difference in pair.blocks():
        restored = part[at] * step
        own += energy(difference)
        decoded += energy(restored)
        aligned += float(np.einsum("i,i->", difference, restored))
    return abs(aligned / own - 1) <= off + _DEVIATIONS * math.sqrt(decoded / own / part.size)


def _coded_tensor(spec: Spec, step: Step, found: Quantised) -> CodedTensor:
    restored = None if found.restored is None else found.restored.reshape(spec.shape)
    return CodedTensor(spec, Coding(ROTATED), restored, found.digest, step, error=found.error, energy=found.energy)


def _with_one_error(coded: list[CodedTensor]) -> Iterator[CodedTensor]:
    """Yield the tensors with the error of all together: one number for all is short in the header."""
    total = math.fsum(each.energy for each in coded)
    error = math.sqrt(math.fsum(each.error**2 * each.energy for each in coded) / total) if total else 0.0
    for each in coded:
        yield replace(each, error=error)
