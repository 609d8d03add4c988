"""Eq. 5-8: the difference of models to integers and back."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from fedretina.dom.coding.integers import integer_type
from fedretina.dom.coding.layout import Sorting
from fedretina.dom.quantisation.rounding import LEVELS, Rounder
from fedretina.dom.tensors import Array, energy, is_finite, largest_of

Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

BLOCK = 2**16  # a block and its few temporaries stay in a core's cache
_OFFSET_SCALE = 128
_NARROW = 2**15
_PAIRS_PAY = 2**19  # look-ups that are worth a table of 2**16 entries
_STEPS_OF_FLOAT32 = (2.0**-126, 2.0**100)


@dataclass(frozen=True)
class Pair:
    """A tensor and what it builds on, both flat; `base` is None for "zeros"."""

    new: Array
    base: Array | None

    def blocks(self, work: type[np.floating[Any]] = np.float64) -> Iterator[tuple[slice, Any]]:
        """Yield slices with their difference (Eq. 5) in the working precision."""
        for start in range(0, self.new.size, BLOCK):
            at = slice(start, start + BLOCK)
            if self.base is None:
                yield at, self.new[at].astype(work)
                continue
            with np.errstate(over="ignore"):  # the encoder looks for it
                new, base = (part[at].astype(work, copy=False) for part in (self.new, self.base))
                values = np.subtract(new, base)
            yield at, values

    def at(self, places: Any) -> "Pair":
        """Return the pair at some places only."""
        return Pair(self.new[places], None if self.base is None else self.base[places])


@dataclass(frozen=True)
class Quantised:
    """A quantised tensor: what travels, what the decoder will make of it, and the squares of that.

    `restored` is None where nobody wants it; `digest` is its digest all the same. `energy` is ``||d||**2``, `squared_error`
    ``||d - d^||**2``. `sorting` is the order in which integers follow a trellis, if they do.
    """

    integers: Array
    offsets: bytes
    restored: Array | None
    digest: bytes
    energy: float
    squared_error: float
    sorting: Sorting | None = None

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
) -> Quantised:
    """Quantise a tensor with the given step, and restore it as the decoder will.

    `largest` is the tensor's largest difference; `offsets` are centroid offsets (one-shots only: on the lattice they
    would cost bits in every skip); `work` is the precision in which integers are chosen; the first `doubled` values get
    steps of twice the size.
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

    if not wide:  # how wide integers are restored depends on all of them
        return measure(pair, integers, step=step, offsets=offsets, work=work, choose=choose, keep=keep)
    for at, difference in pair.blocks(work):
        choose(at, difference)
    return measure(pair, integers, step=step, offsets=offsets, work=work, keep=keep)


def measure(
    pair: Pair,
    integers: Array,
    *,
    step: float,
    offsets: bytes,
    work: Any,
    choose: Callable[[slice, Any], None] | None = None,
    keep: bool = True,
) -> Quantised:
    """Restore a quantised tensor as the decoder will, and measure its energy and loss.

    `choose` puts the integers of a slice into `integers`, given its differences, just before they are needed; they must
    be narrow, see `is_narrow`. Without `keep`, what is restored is hashed and let go, a slice at a time.
    """
    restored = np.empty(pair.new.size if keep else min(pair.new.size, BLOCK), pair.new.dtype)
    hasher = blake3()
    narrow = choose is not None or is_narrow(integers)
    restorer = _Restorer.of(pair.new.dtype, integers, narrow=narrow, step=step, offsets=offsets)
    total = squared_error = 0.0
    for at, difference in pair.blocks(work):
        if choose:
            choose(at, difference)
        total += energy(difference)
        part = restored[at] if keep else restored[: difference.size]
        restorer(integers[at], None if pair.base is None else pair.base[at], out=part)
        hasher.update(part.view(np.uint8).data)
        np.subtract(pair.new[at], part, out=difference, dtype=work, casting="same_kind")
        squared_error += energy(difference)
    return Quantised(integers, offsets, restored if keep else None, hasher.digest(), total, squared_error)


def centroids(sizes: Floats, integers: Array) -> bytes:
    """Return the offsets for |q| = 1, 2, >= 3: the mean of ``|x| - |q|``, in 128ths, of the values that became it."""
    level = np.minimum(np.abs(integers), LEVELS - 1).astype(np.intp)
    sums = np.bincount(level, weights=sizes - np.abs(integers), minlength=LEVELS)
    means = sums[1:] / np.maximum(np.bincount(level, minlength=LEVELS)[1:], 1)
    return np.clip(np.rint(means * _OFFSET_SCALE), -127, 127).astype(np.int8).tobytes()


def restore(like: Array, base: Array | None, integers: Array, *, step: float, offsets: bytes = b"") -> Array:
    """Return ``base + integers * step`` (Eq. 8), flat, in the dtype of `like`; encoder and decoder do the same."""
    restored = np.empty(integers.size, like.dtype)
    restorer = _Restorer.of(like.dtype, integers, narrow=is_narrow(integers), step=step, offsets=offsets)
    for start in range(0, integers.size, BLOCK):
        at = slice(start, start + BLOCK)
        restorer(integers[at], None if base is None else base[at], out=restored[at])
    return restored


@dataclass(frozen=True)
class _Restorer:
    """What makes values of a tensor's integers, a part of them at a time.

    In float32 where that is enough, in float64 where it is not (docs/format.md says when), by separate operations (no
    fused multiply-add), so that every machine gets the same bits.
    """

    most: float
    work: Any
    differences: Callable[[Array, Any], None]

    @classmethod
    def of(cls, dtype: np.dtype[Any], integers: Array, *, narrow: bool, step: float, offsets: bytes) -> "_Restorer":
        """Prepare for integers of this type and number, `narrow` if `is_narrow` says so."""
        enough = narrow and dtype.itemsize <= 4 and _STEPS_OF_FLOAT32[0] <= step < _STEPS_OF_FLOAT32[1]
        work = np.float32 if enough else np.float64
        if offsets and integers.dtype == np.int8:
            return cls(largest_of(dtype), work, _Table.of(integers.size, step, offsets, work))
        return cls(largest_of(dtype), work, partial(_put_differences, step=step, offsets=offsets))

    def __call__(self, integers: Array, base: Array | None, *, out: Array) -> None:
        """Put ``base + integers * step`` into `out`; beyond the dtype's largest value, that value."""
        values = out if out.dtype == self.work else np.empty(out.size, self.work)
        with np.errstate(over="ignore"):  # mended below
            self.differences(integers, values)
            values += self.work(0.0) if base is None else base.astype(self.work, copy=False)
            if values is not out:
                out[:] = values
        if not is_finite(out):
            out[:] = np.clip(values, -self.most, self.most)


def is_narrow(integers: Array) -> bool:
    """Return whether all are smaller than 2**15: then ``(q + offset) * step`` is rounded at most once in float32."""
    if integers.dtype.itemsize == 1:
        return True
    return max(int(integers.max(initial=0)), -int(integers.min(initial=0))) < _NARROW


def dequantise(integers: Array, *, step: float, offsets: bytes) -> NDArray[np.float64]:
    """Return the differences that integers stand for (Eq. 7), moved by the centroid offsets if there are any."""
    values = np.empty(integers.shape)
    _put_differences(integers, values, step=step, offsets=offsets)
    return values


def _put_differences(integers: Array, values: Any, *, step: float, offsets: bytes) -> None:
    values[...] = integers
    if offsets:
        levels = np.clip(integers, 1 - LEVELS, LEVELS - 1).astype(np.intp)
        values += offset_table(offsets).astype(values.dtype).take(levels + (LEVELS - 1))
    values *= values.dtype.type(step)


def offset_table(offsets: bytes) -> NDArray[np.float64]:
    """Return the offset, in steps, of each integer from ``1 - LEVELS`` to ``LEVELS - 1``."""
    positive = np.frombuffer(offsets, np.int8) / _OFFSET_SCALE
    return np.concatenate([-positive[::-1], [0.0], positive])


@dataclass(frozen=True)
class _Table:
    """What each byte of integers stands for, a look-up: faster than arithmetic with offsets; two at a time where it pays."""

    single: Any
    pairs: Any

    @classmethod
    def of(cls, count: int, step: float, offsets: bytes, work: Any) -> "_Table":
        """Make the tables for so many integers."""
        single = np.empty(256, work)
        _put_differences(np.arange(256, dtype=np.uint8).view(np.int8), single, step=step, offsets=offsets)
        if count < _PAIRS_PAY:
            return cls(single, None)
        pairs = np.empty((256, 256, 2), work)  # little-endian: the first of two is the lower byte
        pairs[..., 0], pairs[..., 1] = single, single[:, None]
        return cls(single, pairs.reshape(-1).view(np.result_type(work, np.complex64)))

    def __call__(self, integers: Array, values: Any) -> None:
        """Put the differences into `values`."""
        if self.pairs is None or integers.size % 2:
            self.single.take(integers.view(np.uint8), mode="clip", out=values)
        else:
            self.pairs.take(integers.view(np.uint16), mode="clip", out=values.view(self.pairs.dtype))
