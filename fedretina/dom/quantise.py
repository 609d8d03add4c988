"""Eq. 5-8: the difference of models to integers and back."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.config import DomConfig
from fedretina.dom.tensors import Array, float_info, is_finite

Floats = NDArray[np.float64]

_BLOCK = 2**16  # float64 blocks that stay in the cache; memory beside input and output stays small
_LEVELS = 4  # |q| = 0, 1, 2, >= 3 share a centroid offset
_OFFSET_SCALE = 128


@dataclass(frozen=True)
class Pair:
    """A tensor and what it builds on, both flat; `base` is None for "zeros"."""

    new: Array
    base: Array | None

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Yield slices with their difference (Eq. 5) in float64."""
        for start in range(0, self.new.size, _BLOCK):
            at = slice(start, start + _BLOCK)
            values = self.new[at].astype(np.float64)
            if self.base is not None:
                with np.errstate(over="ignore"):  # of float64 only; the encoder looks for it
                    values -= self.base[at].astype(np.float64)
            yield at, values


@dataclass(frozen=True)
class Quantised:
    """A quantised tensor: what travels, what the decoder will make of it, and the error of that."""

    integers: NDArray[np.int64] | NDArray[np.int32]
    offsets: bytes
    restored: Array
    error: float


def round_to_integers(x: Floats, config: DomConfig) -> Floats:
    """Return the integers of ``x = difference / step`` (Eq. 6), as floats."""
    if config.rounding == "nearest":
        return np.rint(x)
    if config.rounding == "paper":
        return np.rint(x + config.dead_zone)
    return np.trunc(x + np.copysign(config.dead_zone, x))


def centroids(sums: Floats, counts: Floats) -> bytes:
    """Return the offsets for |q| = 1, 2, >= 3 from the sums of ``|x| - |q|`` and the counts of each |q|."""
    means = sums[1:] / np.maximum(counts[1:], 1)
    return np.clip(np.rint(means * _OFFSET_SCALE), -127, 127).astype(np.int8).tobytes()


def count_levels(x: Floats, q: Floats) -> tuple[Floats, Floats]:
    """Return per |q| = 0, 1, 2, >= 3 the sum of ``|x| - |q|`` and the count."""
    size = np.abs(q)
    level = np.minimum(size, _LEVELS - 1).astype(np.int64)
    sums: Floats = np.bincount(level, weights=np.abs(x) - size, minlength=_LEVELS).astype(np.float64)
    counts: Floats = np.bincount(level, minlength=_LEVELS).astype(np.float64)
    return sums, counts


def dequantise(q: Array, step: float, offsets: bytes) -> Floats:
    """Return the differences that integers stand for (Eq. 7), moved by the centroid offsets if there are any."""
    values = q.astype(np.float64)
    if offsets:
        positive = np.frombuffer(offsets, np.int8) / _OFFSET_SCALE
        table = np.concatenate([-positive[::-1], [0.0], positive])
        values += table[np.clip(q, 1 - _LEVELS, _LEVELS - 1).astype(np.int64) + _LEVELS - 1]
    values *= step
    return values


def restore(like: Array, base: Array | None, integers: Array, *, step: float, offsets: bytes = b"") -> Array:
    """Return ``base + integers * step`` (Eq. 8), flat, in the dtype of `like`; encoder and decoder both use this.

    Sums are made in float64 and cast once, by separate operations (no fused multiply-add), so that every machine gets
    the same bits.
    """
    restored = np.empty(integers.size, like.dtype)
    for start in range(0, integers.size, _BLOCK):
        at = slice(start, start + _BLOCK)
        with np.errstate(over="ignore"):
            values = dequantise(integers[at], step, offsets)
            values += 0.0 if base is None else base[at].astype(np.float64)
            restored[at] = values
        if not is_finite(restored[at]):
            restored[at] = np.clip(values, *_limits(like))
    return restored


def quantise(pair: Pair, *, step: float, config: DomConfig, centre: bool) -> Quantised:
    """Quantise a tensor with the given step, and restore it as the decoder will.

    `centre`: whether to send centroid offsets (one-shots only: on the lattice they would cost bits in every skip).
    """
    chosen = np.empty(pair.new.size, np.int64)
    sums, counts, energy = np.zeros(_LEVELS), np.zeros(_LEVELS), 0.0
    for at, difference in pair.blocks():
        energy += float(np.dot(difference, difference))
        x = np.divide(difference, step, out=difference)
        q = round_to_integers(x, config)
        if centre:
            block_sums, block_counts = count_levels(x, q)
            sums, counts = sums + block_sums, counts + block_counts
        chosen[at] = q
    offsets = centroids(sums, counts) if centre else b""
    restored = restore(pair.new, pair.base, chosen, step=step, offsets=offsets)
    return Quantised(chosen, offsets, restored, (_squared_error(pair.new, restored) / energy) ** 0.5)


def _squared_error(new: Array, restored: Array) -> float:
    total = 0.0
    for _, values in Pair(new, restored).blocks():
        total += float(np.dot(values, values))
    return total


def _limits(like: Array) -> tuple[float, float]:
    largest = float(float_info(like.dtype).max)
    return -largest, largest
