"""QSGD: unbiased stochastic levels, coded."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pcodec import ChunkConfig, standalone

from fedretina.errors import Corrupt
from fedretina.study.codecs.codec import Array, Codec, Floats, State, Update
from fedretina.study.codecs.int8 import unscale
from fedretina.study.codecs.layout import Reader, flatten, in_blocks, split


@dataclass(frozen=True, kw_only=True)
class Qsgd(Codec):
    """Levels of each bucket's Euclidean norm, rounded up or down by chance (Alistarh et al., NeurIPS 2017).

    The mean of what arrives is what was sent. The levels go through pcodec, which is nearer to their entropy than the
    Elias code of the paper: in the scheme's favour.
    """

    name = "qsgd"
    bits: int = 4
    bucket: int = 512

    @property
    def levels(self) -> int:
        """The number of levels beside 0, of each sign."""
        return int(2 ** (self.bits - 1) - 1)

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Code the update as one vector; chance depends on the state's seed and round."""
        vector = flatten(update)
        buckets = in_blocks(vector, self.bucket)
        norms = np.linalg.norm(buckets, axis=1).astype("<f4")
        scaled = self.levels * (buckets / np.where(norms > 0, norms, np.float32(1))[:, None])
        chance = np.random.default_rng((state.seed, state.rounds)).random(scaled.shape, np.float32)
        levels = np.floor(scaled + chance).clip(-self.levels, self.levels).astype(np.int8).reshape(-1)[: vector.size]
        return b"".join([norms.tobytes(), standalone.simple_compress(levels, ChunkConfig(enable_8_bit=True))])

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Read norms, then levels."""
        reader = Reader(data)
        norms = reader.take("<f4", -(-state.size // self.bucket))
        levels = _levels(reader.rest(), state.size)
        return split(unscale(levels, norms / np.float32(self.levels), self.bucket), state)

    def largest_error(self, update: Update) -> float:
        """Return a level for every value of each bucket."""
        vector = flatten({name: values.astype(np.float32) for name, values in update.items()})
        return float(np.linalg.norm(vector.astype(np.float64)) * 1.001 * self.bucket**0.5 / self.levels)


def _levels(data: bytes, size: int) -> Array:
    try:
        levels: Array | None = standalone.simple_decompress(data)
    except RuntimeError as error:
        raise Corrupt(f"the update's levels cannot be read: {error}; drop it") from error
    found = np.zeros(0, np.int8) if levels is None else levels
    if found.size != size:
        raise Corrupt(f"the update has {found.size} levels where {size} are needed; drop it")
    return found
