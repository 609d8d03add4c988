"""Eq. 5-8: the difference of models to integers and back."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.layout import Sorting
from fedretina.dom.rounding import LEVELS, Rounder
from fedretina.dom.tensors import Array, float_info, is_finite

Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

_BLOCK = 2**17  # a block and its few temporaries stay in a core's cache
_OFFSET_SCALE = 128
_NARROW = 2**15
_STEPS_OF_FLOAT32 = (2.0**-126, 2.0**100)
_INTEGERS = (np.int8, np.int16, np.int32, np.int64)


@dataclass(frozen=True)
class Pair:
    """A tensor and what it builds on, both flat; `base` is None for "zeros"."""

    new: Array
    base: Array | None

    def blocks(self, work: type[np.floating[Any]] = np.float64) -> Iterator[tuple[slice, Any]]:
        """Yield slices with their difference (Eq. 5) in the working precision."""
        for start in range(0, self.new.size, _BLOCK):
            at = slice(start, start + _BLOCK)
            values = self.new[at].astype(work)
            if self.base is not None:
                with np.errstate(over="ignore"):  # the encoder looks for it
                    values -= self.base[at].astype(work, copy=False)
            yield at, values

    def at(self, places: Any) -> "Pair":
        """Return the pair at some places only."""
        return Pair(self.new[places], None if self.base is None else self.base[places])


@dataclass(frozen=True)
class Quantised:
    """A quantised tensor: what travels, what the decoder will make of it, and the squares of that.

    `energy` is ``||d||**2``, `lost` ``||d - d^||**2``. `sorting` is the order in which integers follow a trellis, if they
    do.
    """

    integers: Array
    offsets: bytes
    restored: Array
    energy: float
    lost: float
    sorting: Sorting | None = None

    @property
    def error(self) -> float:
        """The relative error, ``||d - d^|| / ||d||``."""
        return math.sqrt(self.lost / self.energy) if self.energy else 0.0


def integer_type(largest: float) -> type[np.signedinteger[Any]]:
    """Return the narrowest signed type for integers of at most this size."""
    return next(kind for kind in _INTEGERS if largest <= np.iinfo(kind).max)


def quantise(
    pair: Pair, *, step: float, largest: float, rounder: Rounder, offsets: bytes, work: Any, doubled: int = 0
) -> Quantised:
    """Quantise a tensor with the given step, and restore it as the decoder will.

    `largest` is the tensor's largest difference; `offsets` are centroid offsets (one-shots only: on the lattice they
    would cost bits in every skip); `work` is the precision in which integers are chosen; the first `doubled` values get
    steps of twice the size.
    """
    kind = integer_type(largest / step + 2)
    work = np.float64 if np.dtype(kind).itemsize > 2 else work
    integers = np.empty(pair.new.size, kind)
    inverse = work(1 / step)
    for at, difference in pair.blocks(work):
        np.multiply(difference, inverse, out=difference)
        chosen = rounder(difference)
        coarse = min(max(doubled - at.start, 0), chosen.size)
        if coarse:
            chosen[:coarse] = 2 * rounder(difference[:coarse] / 2)
        integers[at] = chosen
    restored = restore(pair.new, pair.base, integers, step=step, offsets=offsets)
    return measured(pair, integers, offsets, restored, work)


def measured(pair: Pair, integers: Array, offsets: bytes, restored: Array, work: Any) -> Quantised:
    """Return a quantised tensor with its energy and loss."""
    energy = lost = 0.0
    for at, difference in pair.blocks(work):
        energy += float(np.dot(difference, difference))
        np.subtract(pair.new[at], restored[at], out=difference, dtype=work, casting="same_kind")
        lost += float(np.dot(difference, difference))
    return Quantised(integers, offsets, restored, energy, lost)


def centroids(sizes: Floats, integers: Array) -> bytes:
    """Return the offsets for |q| = 1, 2, >= 3: the mean of ``|x| - |q|``, in 128ths, of the values that became it."""
    level = np.minimum(np.abs(integers), LEVELS - 1).astype(np.intp)
    sums = np.bincount(level, weights=sizes - np.abs(integers), minlength=LEVELS)
    means = sums[1:] / np.maximum(np.bincount(level, minlength=LEVELS)[1:], 1)
    return np.clip(np.rint(means * _OFFSET_SCALE), -127, 127).astype(np.int8).tobytes()


def restore(like: Array, base: Array | None, integers: Array, *, step: float, offsets: bytes = b"") -> Array:
    """Return ``base + integers * step`` (Eq. 8), flat, in the dtype of `like`; encoder and decoder both use this.

    Made in float32 where that is enough, in float64 where it is not (docs/format.md says when), by separate operations
    (no fused multiply-add), so that every machine gets the same bits.
    """
    restored = np.empty(integers.size, like.dtype)
    for at, values in restored_blocks(like, base, integers, step=step, offsets=offsets):
        restored[at] = values
    return restored


def restored_blocks(
    like: Array, base: Array | None, integers: Array, *, step: float, offsets: bytes = b""
) -> Iterator[tuple[slice, Array]]:
    """Yield what `restore` returns, slice by slice."""
    narrow = like.dtype.itemsize <= 4 and _STEPS_OF_FLOAT32[0] <= step < _STEPS_OF_FLOAT32[1] and is_narrow(integers)
    work = np.float32 if narrow else np.float64
    most = float(float_info(like.dtype).max)
    for start in range(0, integers.size, _BLOCK):
        at = slice(start, start + _BLOCK)
        with np.errstate(over="ignore"):  # mended below
            values = dequantise(integers[at], step=step, offsets=offsets, work=work)
            values += work(0.0) if base is None else base[at].astype(work, copy=False)
            restored = values.astype(like.dtype, copy=False)
        yield at, restored if is_finite(restored) else np.clip(values, -most, most).astype(like.dtype)


def is_narrow(integers: Array) -> bool:
    """Return whether all are smaller than 2**15: then ``(q + offset) * step`` is rounded at most once in float32."""
    if integers.dtype.itemsize == 1:
        return True
    return max(int(integers.max(initial=0)), -int(integers.min(initial=0))) < _NARROW


def dequantise(integers: Array, *, step: float, offsets: bytes, work: Any) -> Any:
    """Return the differences that integers stand for (Eq. 7), moved by the centroid offsets if there are any."""
    if integers.dtype == np.int8 and offsets:
        return _values_of_bytes(step, offsets, work).take(integers.view(np.uint8), mode="clip")
    values = integers.astype(work)
    if offsets:
        levels = np.clip(integers, 1 - LEVELS, LEVELS - 1).astype(np.intp)
        values += offset_table(offsets).astype(work).take(levels + (LEVELS - 1))
    values *= work(step)
    return values


def offset_table(offsets: bytes) -> NDArray[np.float64]:
    """Return the offset, in steps, of each integer from ``1 - LEVELS`` to ``LEVELS - 1``."""
    positive = np.frombuffer(offsets, np.int8) / _OFFSET_SCALE
    return np.concatenate([-positive[::-1], [0.0], positive])


@lru_cache(maxsize=64)
def _values_of_bytes(step: float, offsets: bytes, work: Any) -> Any:
    """Return what each integer of one byte stands for, by the byte: a look-up is faster than arithmetic with offsets."""
    every = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int16)
    return dequantise(every, step=step, offsets=offsets, work=work)
