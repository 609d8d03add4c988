"""Where a few of many values lie: the gaps in Rice's code, as STC sends them (Sattler et al., TNNLS 2020)."""

import math

import numpy as np
from numpy.typing import NDArray

from fedretina.errors import Corrupt, Truncated
from fedretina.study.codecs.codec import Array

Indices = NDArray[np.int64]


def pack_indices(indices: Indices, total: int) -> bytes:
    """Code rising indices below `total`: the gaps' quotients in unary, then their remainders of `_shift` bits each.

    Examples
    --------
    >>> unpack_indices(pack_indices(np.array([2, 9]), 10), 2, 10)[0]
    array([2, 9])
    """
    shift = _shift(indices.size, total)
    gaps = np.diff(indices, prepend=-1) - 1
    ends = np.cumsum((gaps >> shift) + 1) - 1
    unary = np.zeros(int(ends[-1]) + 1 if ends.size else 0, np.uint8)
    unary[ends] = 1
    remainders = (gaps[:, None] >> np.arange(shift) & 1).astype(np.uint8)
    return np.packbits(unary).tobytes() + np.packbits(remainders.reshape(-1)).tobytes()


def unpack_indices(data: bytes, count: int, total: int) -> tuple[Indices, int]:
    """Return `count` indices, and how many bytes they took; raise `Truncated` or `Corrupt` where they do not fit."""
    shift = _shift(count, total)
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    ends = np.flatnonzero(bits)[:count]
    start = -(-(int(ends[-1]) + 1) // 8) if ends.size else 0
    used = start + -(-count * shift // 8)
    if ends.size < count or used > len(data):
        raise Truncated(f"the update ends before its {count} positions; drop it")
    remainders = bits[8 * start : 8 * start + count * shift].reshape(count, shift).astype(np.int64)
    gaps = (np.diff(ends, prepend=-1) - 1 << shift) + (remainders << np.arange(shift)).sum(axis=1)
    indices: Indices = np.cumsum(gaps + 1) - 1
    if count and indices[-1] >= total:
        raise Corrupt(f"the update has a position {indices[-1]} where {total} values are; drop it")
    return indices, used


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


def pack_integers(values: Indices, bits: int) -> bytes:
    """Code integers of `bits` bits each.

    Examples
    --------
    >>> unpack_integers(pack_integers(np.array([5, 0, 7]), 3), 3, 3)
    array([5, 0, 7])
    """
    return np.packbits((values.reshape(-1, 1) >> np.arange(bits) & 1).astype(np.uint8)).tobytes()


def unpack_integers(data: bytes, count: int, bits: int) -> Indices:
    """Return the `count` integers of `pack_integers`."""
    flags = np.unpackbits(np.frombuffer(data, np.uint8))[: count * bits].reshape(count, bits).astype(np.int64)
    found: Indices = (flags << np.arange(bits)).sum(axis=1)
    return found
