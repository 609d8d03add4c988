"""Which step a tensor gets: found on a sample, then verified on the whole tensor."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.config import DomConfig
from fedretina.dom.quantise import (
    Pair,
    Quantised,
    centroids,
    count_levels,
    dequantise,
    quantise,
    round_to_integers,
)
from fedretina.dom.tensors import Array, float_info

MANTISSAS = 256  # a step is (1 + mantissa / 256) * 2**exponent: .4 % apart, two or three bytes on the wire
MAX_EXPONENT = 1000
MAX_INTEGER = 2**52  # integers stay exact in float64
_SAMPLE = 8192
_LATTICE_SLACK = math.sqrt(2)
_TOLERANCE = 0.05
_SEARCHES = 8
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


@dataclass(frozen=True)
class Scale:
    """The sizes in a tensor that a step depends on; all zero if nothing has to be sent."""

    difference: float
    value: float

    @classmethod
    def of(cls, pair: Pair) -> "Scale":
        """Measure the largest difference, and the largest value in base and new."""
        value = max(_largest(part) for part in (pair.new, pair.base))
        return cls(max((float(np.abs(d).max()) for _, d in pair.blocks()), default=0.0), value)


class Choice(Protocol):
    """A way to choose the step of one tensor; None where quantising cannot serve it."""

    def __call__(self, pair: Pair, scale: Scale, target: float) -> tuple[Step, Quantised] | None:
        """Quantise the tensor with the step that serves the target best."""


@dataclass(frozen=True)
class FixedStep:
    """The paper's absolute step ``10**-bits``."""

    config: DomConfig
    centre: bool

    def __call__(self, pair: Pair, scale: Scale, target: float) -> tuple[Step, Quantised] | None:
        """Quantise with the fixed step, whatever the target; None if the integers would be too large."""
        step = Step(None, bits=self.config.bits or 0)
        if scale.difference / step.size > MAX_INTEGER:
            return None
        return step, quantise(pair, step=step.size, config=self.config, centre=self.centre)


@dataclass(frozen=True)
class LatticeStep:
    """The largest power of two whose error is at most sqrt(2) times the target: the nearest one in the log2 sense.

    Never under one ulp (in the tensor's dtype) of the largest value in base and new.
    """

    config: DomConfig

    def __call__(self, pair: Pair, scale: Scale, target: float) -> tuple[Step, Quantised] | None:
        """Quantise with the coarsest step of the lattice that serves the target."""
        floor = ulp_exponent(scale.value, pair.new.dtype)
        limit = target * _LATTICE_SLACK
        exponent = max(floor, search_power(sample(pair), limit, self.config))
        while True:
            found = quantise(pair, step=math.ldexp(1.0, exponent), config=self.config, centre=False)
            if found.error <= limit or exponent <= floor:
                return Step(exponent), found
            exponent -= 1


@dataclass(frozen=True)
class RelativeStep:
    """Any step, so that the error meets the target within 5 % (small tensors: from below, if no step meets it)."""

    config: DomConfig
    centre: bool

    def __call__(self, pair: Pair, scale: Scale, target: float) -> tuple[Step, Quantised] | None:
        """Quantise with the step that meets the target."""
        part = sample(pair)
        size = math.ldexp(1.0, search_power(part, target * _LATTICE_SLACK, self.config))
        for _ in range(_SEARCHES):
            error = sample_error(part, size, self.config, centre=self.centre)
            if abs(error / target - 1) < _SEARCHED_TO:
                break
            size *= _correction(target, error)
        return self._verify(pair, size, target)

    def _verify(self, pair: Pair, size: float, target: float) -> tuple[Step, Quantised] | None:
        best: tuple[Step, Quantised] | None = None
        for _ in range(_PASSES):
            step = Step.near(size)
            found = quantise(pair, step=step.size, config=self.config, centre=self.centre)
            if found.error <= target * (1 + _TOLERANCE) and (best is None or found.error > best[1].error):
                best = step, found
            if abs(found.error / target - 1) <= _TOLERANCE:
                break
            size *= _correction(target, found.error)
        return best or self._descend(pair, size, target)

    def _descend(self, pair: Pair, size: float, target: float) -> tuple[Step, Quantised] | None:
        """Halve the step until the error is small enough: always ends, since a fine enough step is exact."""
        for exponent in range(math.frexp(size)[1], math.frexp(size)[1] - 64, -1):
            step = Step(exponent)
            found = quantise(pair, step=step.size, config=self.config, centre=self.centre)
            if found.error <= target * (1 + _TOLERANCE):
                return step, found
        return None


def ulp_exponent(value: float, dtype: np.dtype[np.generic]) -> int:
    """Return the exponent of the unit in the last place of `value` in `dtype`."""
    info = float_info(dtype)
    return int(max(math.frexp(value)[1] - 1, info.minexp) - info.nmant)


def sample(pair: Pair) -> NDArray[np.float64]:
    """Return at most 8192 of a tensor's differences, spread over it by the golden ratio, without chance."""
    at: NDArray[np.int64] | slice = slice(None)
    if pair.new.size > _SAMPLE:
        at = np.arange(_SAMPLE) * (int(pair.new.size * 0.618) | 1) % pair.new.size
    return next(iter(Pair(pair.new[at], None if pair.base is None else pair.base[at]).blocks()))[1]


def sample_error(part: NDArray[np.float64], size: float, config: DomConfig, *, centre: bool) -> float:
    """Return ``||d - d^|| / ||d||`` over a sample that is quantised with the given step."""
    x = part / size
    q = round_to_integers(x, config)
    offsets = centroids(*count_levels(x, q)) if centre else b""
    energy = float(np.linalg.norm(part))
    return float(np.linalg.norm(part - dequantise(q, size, offsets))) / energy if energy else 0.0


def search_power(part: NDArray[np.float64], limit: float, config: DomConfig) -> int:
    """Return the exponent of the largest power of two whose error on the sample is at most `limit`."""
    largest = float(np.abs(part).max())
    exponent = math.frexp(largest)[1] + 1
    if not largest:
        return exponent
    for _ in range(64):
        if sample_error(part, math.ldexp(1.0, exponent), config, centre=False) <= limit:
            break
        exponent -= 1
    return exponent


def _correction(target: float, error: float) -> float:
    return min(max(target / error, 0.5), 2.0) if error else 2.0


def _largest(part: Array | None) -> float:
    if part is None or not part.size:
        return 0.0
    return max(abs(float(part.max())), abs(float(part.min())))
