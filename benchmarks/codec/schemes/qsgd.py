"""QSGD: unbiased stochastic levels, coded (Alistarh et al., NeurIPS 2017)."""

import numpy as np
from pcodec import ChunkConfig, standalone

from codec.schemes.base import TensorScheme
from codec.update import Array, Floats


class Qsgd(TensorScheme):
    """Levels of each bucket's Euclidean norm, rounded up or down by chance so that the mean is right.

    The levels go through pcodec, which is closer to their entropy than the Elias code of the paper. The buckets' norms are
    half floats.
    """

    family = "QSGD"
    bucket = 512

    def __init__(self, bits: int) -> None:
        self.levels = 2 ** (bits - 1) - 1
        self.label = f"{bits} bits"

    def pack(self, values: Floats) -> bytes:
        buckets = _fill(values, self.bucket)
        norms = np.linalg.norm(buckets, axis=1).astype("<f2")
        scaled = self.levels * buckets / np.where(norms > 0, norms, np.float16(1)).astype(np.float32)[:, None]
        chance = np.random.default_rng(values.size).random(scaled.shape, np.float32)
        levels = np.clip(np.floor(scaled + chance), -self.levels - 1, self.levels).astype(np.int8)
        flat = levels.reshape(-1)[: values.size]
        return norms.tobytes() + standalone.simple_compress(flat, ChunkConfig(enable_8_bit=True))

    def unpack(self, data: bytes, count: int) -> Floats:
        norms = np.frombuffer(data, "<f2", count=-(-count // self.bucket)).astype(np.float32)
        levels: Array = standalone.simple_decompress(data[2 * norms.size :])
        return levels * np.repeat(norms / np.float32(self.levels), self.bucket)[:count]


def _fill(values: Floats, bucket: int) -> Floats:
    buckets = np.zeros((-(-values.size // bucket), bucket), np.float32)
    buckets.reshape(-1)[: values.size] = values
    return buckets
