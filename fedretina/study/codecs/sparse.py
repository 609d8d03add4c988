"""Few values of many: top-k with half floats, and sparse ternary compression, both with error feedback."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedretina.errors import Corrupt
from fedretina.study.codecs.codec import Codec, Floats, State, Update
from fedretina.study.codecs.layout import Reader, flatten, norm, split
from fedretina.study.codecs.rice import Indices, pack_bits, pack_indices, unpack_indices


@dataclass(frozen=True, kw_only=True)
class TopK(Codec):
    """The largest values as half floats (Aji and Heafield, EMNLP 2017; Stich et al., NeurIPS 2018).

    The update is one vector, so a tensor that moves more gets more of the values. Positions travel as gaps in Rice's code,
    which the papers do not: in the scheme's favour.
    """

    name = "topk"
    share: float = 0.01
    decay: float | None = 1.0

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Write positions, then values."""
        vector = flatten(update)
        at = largest(vector, self.share)
        return pack_count(at) + pack_indices(at, vector.size) + self.pack_values(vector[at])

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Read positions, then values."""
        reader = Reader(data)
        at = take_positions(reader, state.size)
        vector = np.zeros(state.size, np.float32)
        vector[at] = self.unpack_values(reader, at.size)
        reader.finish()
        return split(vector, state)

    def pack_values(self, values: Floats) -> bytes:
        """Code the values at the positions."""
        return to_half(values).tobytes()

    def unpack_values(self, reader: Reader, count: int) -> Floats:
        """Return the values at the positions."""
        values: Floats = reader.take("<f2", count).astype(np.float32)
        return values

    def largest_error(self, update: Update) -> float:
        """Return what is left without the largest: at most the same share of the energy as of the values, and rounding."""
        return float((1 - self.share) ** 0.5 * 1.001 + 2.0**-11) * norm(update) + 1e-6


@dataclass(frozen=True, kw_only=True)
class SparseTernary(TopK):
    """The largest values' signs times their mean size, positions in Rice's code (STC: Sattler et al., TNNLS 2020)."""

    name = "stc"

    def pack_values(self, values: Floats) -> bytes:
        """Code the mean size, then the signs."""
        mean = np.abs(values).mean(dtype=np.float64) if values.size else 0
        return np.array(mean, "<f4").tobytes() + pack_bits(values < 0)

    def unpack_values(self, reader: Reader, count: int) -> Floats:
        """Return mean size times sign."""
        mean = reader.take("<f4", 1)[0]
        negative = np.unpackbits(reader.take(np.uint8, -(-count // 8)))[:count]
        values: Floats = np.where(negative, -mean, mean).astype(np.float32)
        return values

    def largest_error(self, update: Update) -> float:
        """Return the norm of the update: sending it is never worse than sending nothing."""
        return norm(update) * 1.001


def largest(vector: Floats, share: float) -> Indices:
    """Return where the largest values are, at least that share of them, rising."""
    count = min(vector.size, math.ceil(share * vector.size))
    return (
        np.sort(np.argpartition(np.abs(vector), vector.size - count)[vector.size - count :]) if count else np.zeros(0, int)
    )


def pack_count(at: Indices) -> bytes:
    """Code how many positions follow."""
    return np.array(at.size, "<u4").tobytes()


def take_positions(reader: Reader, total: int) -> Indices:
    """Read a count and as many positions below `total`."""
    count = int(reader.take("<u4", 1)[0])
    if count > total:
        raise Corrupt(f"the update has {count} positions where {total} values are; drop it")
    indices, used = unpack_indices(reader.data[reader.at :], count, total)
    reader.at += used
    return indices


def to_half(values: Floats) -> Floats:
    """Return values as half floats, the largest finite one where they are larger."""
    limit = np.finfo(np.float16).max
    return values.clip(-limit, limit).astype("<f2")
