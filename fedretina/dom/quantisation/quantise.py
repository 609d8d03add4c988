"""Eq. 5 and 6: the difference of models to integers."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from fedretina.dom.coding.integers import integer_type
from fedretina.dom.coding.order import Sorting
from fedretina.dom.kernels import ROUNDINGS, Kernels, kernels
from fedretina.dom.prediction.factors import Factors
from fedretina.dom.quantisation.restore import (
    BLOCK,
    OFFSET_SCALE,
    is_narrow,
    is_step_of_float32,
    offsets_of_float32,
    restorer_for,
)
from fedretina.dom.quantisation.rounding import LEVELS, Rounder
from fedretina.dom.tensors import Array, energy, flat, largest_size

Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """A tensor and what it builds on, both flat; `base` is None for "zeros"."""

    new: Array
    base: Array | None

    @classmethod
    def of(cls, new: Array, base: Array | None) -> "Pair":
        """Return the pair of two tensors."""
        return cls(flat(new), flat(base))

    def blocks(self, work: type[np.floating[Any]] = np.float64) -> Iterator[tuple[slice, Any]]:
        """Yield slices with their difference (Eq. 5) in the working precision."""
        for at in slices(self.new.size):
            if self.base is None:
                yield at, self.new[at].astype(work)
                continue
            with np.errstate(over="ignore"):  # the encoder looks for it
                new, base = (part[at].astype(work, copy=False) for part in (self.new, self.base))
                values = np.subtract(new, base)
            yield at, values

    def scaled(self, largest: float) -> NDArray[np.float32]:
        """Return the difference divided by its largest value."""
        found = np.empty(self.new.size, np.float32)
        if (compiled := self.kernels) is not None and self.base is not None:
            compiled.scale_difference(self.new, self.base, largest, found)
        else:
            for at, difference in self.blocks():
                np.divide(difference, largest, out=found[at], casting="same_kind")
        return found

    def largest(self, work: type[np.floating[Any]] = np.float64) -> float:
        """Return the largest absolute difference in the working precision."""
        if (compiled := self.kernels) is not None and self.base is not None and work is np.float32:
            return compiled.largest_difference(self.new, self.base)
        return max((largest_size(difference) for _, difference in self.blocks(work)), default=0.0)

    @property
    def kernels(self) -> Kernels | None:
        """The compiled loops, if they are for such tensors."""
        arrays = (self.new, self.new if self.base is None else self.base)
        fit = all(each.dtype == np.float32 and each.flags.c_contiguous for each in arrays)
        return kernels() if fit and self.base is not None else None

    def at(self, places: Any) -> "Pair":
        """Return the pair at some places only."""
        return Pair(self.new[places], None if self.base is None else self.base[places])


@dataclass(frozen=True)
class Quantised:
    """A quantised tensor: what travels, what the decoder will make of it, and the squares of that.

    `restored` is None where nobody wants it; `digest` is its digest all the same. `energy` is ``||d||**2``, `squared_error`
    ``||d - d^||**2``. `sorting` is the order in which integers follow a trellis, if they do; `factors` predict the
    differences, of which the integers are the residual then.
    """

    integers: Array
    offsets: bytes
    restored: Array | None
    digest: bytes
    energy: float
    squared_error: float
    sorting: Sorting | None = None
    factors: Factors | None = None

    @property
    def error(self) -> float:
        """The relative error, ``||d - d^|| / ||d||``."""
        return math.sqrt(self.squared_error / self.energy) if self.energy else 0.0


def quantise(
    pair: Pair,
    *,
    step: float,
    largest: float,
    rounder: Rounder,
    offsets: bytes,
    work: Any,
    doubled: int = 0,
    keep: bool = True,
    energy: float | None = None,
) -> Quantised:
    """Quantise a tensor with the given step, and restore it as the decoder will.

    `largest` is the tensor's largest difference; `offsets` are centroid offsets (one-shots only: on the lattice they
    would cost bits in every skip); `work` is the precision in which integers are chosen; the first `doubled` values get
    steps of twice the size. `energy` is the tensor's, if it is known.
    """
    kind = integer_type(largest / step + 2)
    wide = np.dtype(kind).itemsize > 2
    work = np.float64 if wide else work
    integers = np.empty(pair.new.size, kind)
    inverse = work(1 / step)

    def choose(at: slice, difference: Any) -> None:
        x = difference * inverse
        chosen = rounder(x)
        coarse = min(max(doubled - at.start, 0), chosen.size)
        if coarse:
            chosen[:coarse] = 2 * rounder(x[:coarse] / 2)
        integers[at] = chosen

    if wide:  # how these are restored depends on all of them
        for at, difference in pair.blocks(work):
            choose(at, difference)
        return measure(pair, integers, step=step, offsets=offsets, work=work, keep=keep, energy=energy)
    in_float32 = work is np.float32 and is_step_of_float32(step)
    compiled = pair.kernels if in_float32 and not doubled and rounder.kind in ROUNDINGS else None
    if compiled is not None:
        found = Measurement.of(pair, keep, energy)
        _choose_compiled(compiled, pair, integers, step=step, rounder=rounder, offsets=offsets, found=found)
        return found.of_integers(integers, offsets)
    return measure(pair, integers, step=step, offsets=offsets, work=work, choose=choose, keep=keep, energy=energy)


def _choose_compiled(
    compiled: Kernels, pair: Pair, integers: Array, *, step: float, rounder: Rounder, offsets: bytes, found: "Measurement"
) -> None:
    """Choose narrow integers, and measure what they restore."""
    assert pair.base is not None
    choose = partial(
        compiled.quantise,
        rounding=rounder.kind,
        offset=rounder.offset,
        offsets=offsets_of_float32(offsets),
        step=step,
    )
    difference, errors = (np.empty(min(pair.new.size, BLOCK), np.float32) for _ in range(2))
    for at in slices(pair.new.size):
        part = found.part(at)
        out = (part, difference[: part.size], errors[: part.size])
        choose(pair.new[at], pair.base[at], integers[at], out=out)
        found.add(*out)


def measure(
    pair: Pair,
    integers: Array,
    *,
    step: float,
    offsets: bytes,
    work: Any,
    choose: Callable[[slice, Any], None] | None = None,
    keep: bool = True,
    energy: float | None = None,
) -> Quantised:
    """Restore a quantised tensor as the decoder will, and measure its energy (if it is not known) and loss.

    `choose` puts the integers of a slice into `integers`, given its differences, just before they are needed; they must
    be narrow, see `is_narrow`. Without `keep`, what is restored is hashed and let go, a slice at a time.
    """
    narrow = choose is not None or is_narrow(integers)
    restorer = restorer_for(pair.new.dtype, integers, narrow=narrow, step=step, offsets=offsets)
    found = Measurement.of(pair, keep, energy)
    for at, difference in pair.blocks(work):
        if choose:
            choose(at, difference)
        part = found.part(at)
        restorer(integers[at], None if pair.base is None else pair.base[at], out=part)
        found.add(part, difference, np.subtract(pair.new[at], part, dtype=work, casting="same_kind"))
    return found.of_integers(integers, offsets)


@dataclass
class Measurement:
    """What is restored of a tensor, a slice at a time, with its digest; and the energies of differences and errors."""

    restored: Array
    keep: bool
    known_energy: float | None
    hasher: Any = field(default_factory=blake3)
    energy: float = 0.0
    squared_error: float = 0.0

    @classmethod
    def of(cls, pair: Pair, keep: bool, known_energy: float | None) -> "Measurement":
        """Begin."""
        return cls(np.empty(pair.new.size if keep else min(pair.new.size, BLOCK), pair.new.dtype), keep, known_energy)

    def part(self, at: slice) -> Array:
        """Return where a slice is to be restored."""
        return self.restored[at] if self.keep else self.restored[: at.stop - at.start]

    def add(self, part: Array, differences: Floats, errors: Floats) -> None:
        """Take the next slice."""
        self.hasher.update(part.view(np.uint8).data)
        if self.known_energy is None:
            self.energy += energy(differences)
        self.squared_error += energy(errors)

    def of_integers(self, integers: Array, offsets: bytes) -> Quantised:
        """Return the tensor, quantised."""
        restored = self.restored if self.keep else None
        total = self.energy if self.known_energy is None else self.known_energy
        return Quantised(integers, offsets, restored, self.hasher.digest(), total, self.squared_error)


def slices(size: int) -> Iterator[slice]:
    """Yield slices that stay in a core's cache, with what is computed of them."""
    for start in range(0, size, BLOCK):
        yield slice(start, min(start + BLOCK, size))


def centroids(sizes: Floats, integers: Array) -> bytes:
    """Return the offsets for |q| = 1, 2, >= 3: the mean of ``|x| - |q|``, in 128ths, of the values that became it."""
    level = np.minimum(np.abs(integers), LEVELS - 1).astype(np.intp)
    sums = np.bincount(level, weights=sizes - np.abs(integers), minlength=LEVELS)
    means = sums[1:] / np.maximum(np.bincount(level, minlength=LEVELS)[1:], 1)
    return np.clip(np.rint(means * OFFSET_SCALE), -127, 127).astype(np.int8).tobytes()
