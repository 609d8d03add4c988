"""Bit-exact differences: integers times a unit that two versions share, or differences of bits.

Versions of a stream lie on a lattice of powers of two. So the difference of any two of them is small integers, and a
skip over missed versions is cheap.
"""

import math

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.coding.integers import narrow
from fedretina.dom.quantisation.quantise import Pair
from fedretina.dom.quantisation.restore import restore
from fedretina.dom.tensors import Array, is_finite, words

_SAMPLE = 1024
_INTEGER_BITS = 31
_MANTISSA_BITS = 53
_MIN_EXPONENT, _MAX_EXPONENT = -1000, 1000


def common_unit(pair: Pair) -> tuple[int, Array] | None:
    """Return (exponent, integers) so that ``base + integers * 2**exponent`` is `new` to the bit, or None.

    A sample of the values rejects most tensors that share no unit. Only the others are read whole.
    """
    if not all(is_finite(part) for part in (pair.new, pair.base) if part is not None):
        return None
    stride = max(1, pair.new.size // _SAMPLE)
    few = Pair(pair.new[::stride], None if pair.base is None else pair.base[::stride])
    if _unit_of(few) is None:
        return None
    exponent = _unit_of(pair)
    if exponent is None:
        return None
    integers = np.empty(pair.new.size, np.int32)
    for at, difference in pair.blocks():
        integers[at] = np.ldexp(difference, -exponent)
    integers = narrow(integers)
    restored = restore(pair.base, integers, step=math.ldexp(1.0, exponent), out=np.empty_like(pair.new))
    exact = np.array_equal(words(restored), words(pair.new))
    return (exponent, integers) if exact else None


def difference_of_bits(pair: Pair) -> Array:
    """Return the differences of the bits of new and base, modulo 2**n, as signed integers of n bits."""
    bits = words(pair.new)
    if pair.base is not None:
        bits = bits - words(pair.base)
    return bits.view(f"i{bits.dtype.itemsize}")


def add_bits(like: Array, base: Array | None, differences: Array) -> Array:
    """Return what `difference_of_bits` came from, flat, in the dtype of `like`."""
    bits = differences.astype(f"i{like.dtype.itemsize}").view(f"u{like.dtype.itemsize}")
    if base is not None:
        bits = bits + words(base)
    return bits.view(like.dtype)


def _unit_of(pair: Pair) -> int | None:
    """Return the exponent of the largest power of two that divides every difference, or None if that is too fine."""
    unit, largest = _MAX_EXPONENT, 0.0
    for _, difference in pair.blocks():
        largest = max(largest, float(np.abs(difference).max()))
        if not math.isfinite(largest) or not _fits(largest, unit):
            return None
        if largest and (unit == _MAX_EXPONENT or not _divides(unit, difference)):
            unit = min(unit, _trailing_exponent(difference))
        if unit < _MIN_EXPONENT or not _fits(largest, unit):
            return None
    return unit


def _fits(largest: float, unit: int) -> bool:
    return math.frexp(largest)[1] - unit <= _INTEGER_BITS


def _divides(unit: int, difference: NDArray[np.float64]) -> bool:
    scaled = np.ldexp(difference, -unit)
    return bool((np.trunc(scaled) == scaled).all())


def _trailing_exponent(difference: NDArray[np.float64]) -> int:
    """Return the smallest exponent of a lowest set bit among the nonzero differences."""
    fraction, exponent = np.frexp(difference[difference != 0])
    mantissa = np.ldexp(fraction, _MANTISSA_BITS).astype(np.int64)
    lowest = np.frexp((mantissa & -mantissa).astype(np.float64))[1] - 1
    return int((exponent + lowest).min()) - _MANTISSA_BITS
