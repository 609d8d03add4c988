"""Eq. 7 and 8: integers to differences and values; encoder and decoder get the same bits."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.kernels import kernels
from fedretina.dom.quantisation.rounding import LEVELS
from fedretina.dom.tensors import Array, is_finite, largest_of

BLOCK = 2**16  # a block and its few temporaries stay in a core's cache
OFFSET_SCALE = 128
_NARROW = 2**15
_PAIRS_PAY = 2**19  # look-ups that are worth a table of 2**16 entries
_STEPS_OF_FLOAT32 = (2.0**-126, 2.0**100)


def restore(base: Array | None, integers: Array, *, step: float, offsets: bytes = b"", out: Array) -> Array:
    """Put ``base + integers * step`` (Eq. 8) into `out`, and return it; encoder and decoder do the same.

    `out` may be the base itself.
    """
    restorer = restorer_for(out.dtype, integers, narrow=is_narrow(integers), step=step, offsets=offsets)
    for start in range(0, integers.size, BLOCK):
        at = slice(start, start + BLOCK)
        restorer(integers[at], None if base is None else base[at], out=out[at])
    return out


class Restorer(Protocol):
    """What makes values of a tensor's integers, a part of them at a time."""

    def __call__(self, integers: Array, base: Array | None, *, out: Array) -> None:
        """Put ``base + integers * step`` into `out`; beyond the dtype's largest value, that value."""


def restorer_for(dtype: np.dtype[Any], integers: Array, *, narrow: bool, step: float, offsets: bytes) -> Restorer:
    """Return what restores integers of this type and number, `narrow` if `is_narrow` says so."""
    enough = narrow and dtype.itemsize <= 4 and is_step_of_float32(step)
    compiled = kernels() if enough and dtype == np.float32 and integers.itemsize <= 2 else None
    if compiled is not None:
        return partial(compiled.restore, offsets=offsets_of_float32(offsets), step=step)
    return _Restorer.of(dtype, integers, work=np.float32 if enough else np.float64, step=step, offsets=offsets)


@dataclass(frozen=True)
class _Restorer:
    """Restores by separate operations (no fused multiply-add), so that every machine gets the same bits.

    In float32 where that is enough, in float64 where it is not (docs/reference/format.md says when).
    """

    most: float
    work: Any
    differences: Callable[[Array, Any], None]

    @classmethod
    def of(cls, dtype: np.dtype[Any], integers: Array, *, work: Any, step: float, offsets: bytes) -> "_Restorer":
        """Prepare for integers of this type and number."""
        if offsets and integers.dtype == np.int8:
            return cls(largest_of(dtype), work, _Table.of(integers.size, step, offsets, work))
        return cls(largest_of(dtype), work, partial(_put_differences, step=step, offsets=offsets))

    def __call__(self, integers: Array, base: Array | None, *, out: Array) -> None:
        """Put ``base + integers * step`` into `out`; beyond the dtype's largest value, that value."""
        apart = out.dtype != self.work or (base is not None and np.may_share_memory(base, out))
        values = np.empty(out.size, self.work) if apart else out
        with np.errstate(over="ignore"):  # mended below
            self.differences(integers, values)
            values += self.work(0.0) if base is None else base.astype(self.work, copy=False)
            if values is not out:
                out[:] = values
        if not is_finite(out):
            out[:] = np.clip(values, -self.most, self.most)


def is_step_of_float32(step: float) -> bool:
    """Tell whether narrow integers times the step stay in float32's range."""
    return _STEPS_OF_FLOAT32[0] <= step < _STEPS_OF_FLOAT32[1]


def offsets_of_float32(offsets: bytes) -> NDArray[np.float32] | None:
    """Return the offsets of 1, 2 and more, in steps; None if there are none."""
    return offset_table(offsets)[LEVELS:].astype(np.float32) if offsets else None


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
    positive = np.frombuffer(offsets, np.int8) / OFFSET_SCALE
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
