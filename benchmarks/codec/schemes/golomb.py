"""Where a few of many values lie: gaps in Rice's code, as Sattler et al. (STC, TNNLS 2020) send them."""

import math

import numpy as np
from numpy.typing import NDArray

from codec.update import Array

Indices = NDArray[np.int64]


def pack_indices(indices: Indices, total: int) -> bytes:
    """Code rising indices below `total`: the gaps' quotients in unary, then their remainders of `_shift` bits each."""
    shift = _shift(indices.size, total)
    gaps = np.diff(indices, prepend=-1) - 1
    ends = np.cumsum((gaps >> shift) + 1) - 1
    unary = np.zeros(int(ends[-1]) + 1 if ends.size else 0, np.uint8)
    unary[ends] = 1
    places = np.arange(shift)
    remainders = (gaps[:, None] >> places & 1).astype(np.uint8)
    return np.packbits(unary).tobytes() + np.packbits(remainders.reshape(-1)).tobytes()


def unpack_indices(data: bytes, count: int, total: int) -> tuple[Indices, int]:
    """Return `count` indices, and how many bytes they took."""
    shift = _shift(count, total)
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    ends = np.flatnonzero(bits)[:count]
    start = -(-(int(ends[-1]) + 1) // 8) if count else 0
    used = start + -(-count * shift // 8)
    remainders = bits[8 * start : 8 * start + count * shift].reshape(count, shift).astype(np.int64)
    gaps = (np.diff(ends, prepend=-1) - 1 << shift) + (remainders << np.arange(shift)).sum(axis=1)
    return np.cumsum(gaps + 1) - 1, used


def pack_bits(flags: Array) -> bytes:
    """Code booleans, eight a byte."""
    return np.packbits(flags).tobytes()


def _shift(count: int, total: int) -> int:
    """Return the best number of bits of a remainder (STC, equation of b*), if each value is sent with equal probability."""
    share = count / total if total else 1.0
    if not 0 < share < 1:
        return 0
    golden = (math.sqrt(5) + 1) / 2
    return max(0, 1 + math.floor(math.log2(math.log(golden - 1) / math.log(1 - share))))
