"""EDEN: a random rotation, the best levels for normal values, and a scale that makes it unbiased."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedretina.errors import BadArgument
from fedretina.study.codecs.codec import Codec, Floats, State, Update
from fedretina.study.codecs.layout import Reader, count, flatten, norm, split
from fedretina.study.codecs.rice import pack_integers, unpack_integers
from fedretina.study.codecs.rotation import rotate, unbiased_scale, unrotate

# The levels above 0 of Lloyd and Max for a normal distribution, by bits (Max, "Quantizing for Minimum Distortion", 1960).
LEVELS = {
    1: (0.79788,),
    2: (0.45278, 1.51042),
    3: (0.24509, 0.75601, 1.34391, 2.15195),
    4: (0.12840, 0.38805, 0.65679, 0.94234, 1.25623, 1.61808, 2.06902, 2.73264),
}


@dataclass(frozen=True, kw_only=True)
class Eden(Codec):
    """`bits` a value of the rotated update, or of a random share of it for less than a bit (Vargaftik et al., ICML 2022).

    Both ends draw rotation and share from the seed, so neither travels. The rotation is of cosines, where the paper has
    Hadamard's, which needs powers of two.
    """

    name = "eden"
    bits: int = 1
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.bits not in LEVELS or not 0 < self.share <= 1:
            raise BadArgument(f"EDEN has bits={self.bits!r}, share={self.share!r}; allowed: 1 to 4, and above 0 to 1")

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Code the scale, then the levels."""
        vector = rotate(flatten(update), (state.seed, state.rounds))[self._drawn(state)]
        root = math.sqrt(float(np.square(vector, dtype=np.float64).mean())) if vector.size else 0.0
        levels = np.searchsorted((self._levels[1:] + self._levels[:-1]) / 2, vector / np.float32(root or 1))
        scale = unbiased_scale(vector, self._levels[levels]) / np.float32(self.share)
        return np.array(scale, "<f4").tobytes() + pack_integers(levels, self.bits)

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Read the levels, scale, and rotate back."""
        reader, drawn = Reader(data), self._drawn(state)
        scale = reader.take("<f4", 1)[0]
        packed = reader.take(np.uint8, -(-drawn.size * self.bits // 8)).tobytes()
        reader.finish()
        vector = np.zeros(state.size, np.float32)
        vector[drawn] = scale * self._levels[unpack_integers(packed, drawn.size, self.bits)]
        return split(unrotate(vector, (state.seed, state.rounds)), state)

    def largest_error(self, update: Update) -> float:
        """Return the bound for the worst rotation; the mean error is the paper's."""
        spread = float(self._levels[-1] / np.abs(self._levels).min())
        return norm(update) * (1 + spread * math.sqrt(count(update)) / self.share) * 1.01

    @property
    def _levels(self) -> Floats:
        above = np.array(LEVELS[self.bits], np.float32)
        return np.concatenate([-above[::-1], above])

    def _drawn(self, state: State) -> NDArray[np.int64]:
        """Return which values of the rotated update are sent, rising."""
        size = state.size
        if self.share == 1:
            return np.arange(size)
        rng = np.random.default_rng((state.seed, state.rounds, 1))
        return np.sort(rng.choice(size, math.ceil(self.share * size), replace=False))
