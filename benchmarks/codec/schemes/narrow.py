"""Fewer bits for every value: fp16, int8 between extremes, blockwise int8, 4-bit NormalFloat."""

import numpy as np

from codec.schemes.base import TensorScheme, pack_between_extremes, unpack_between_extremes
from codec.update import Array, Floats


class Half(TensorScheme):
    """The differences as IEEE half precision."""

    family = "fp16"
    label = "fp16"

    def pack(self, values: Floats) -> bytes:
        return values.astype("<f2").tobytes()

    def unpack(self, data: bytes, count: int) -> Floats:
        return np.frombuffer(data, "<f2").astype(np.float32)


class MinMax(TensorScheme):
    """One byte a value, 256 levels between the tensor's extremes."""

    family = "int8 min-max"
    label = "int8 min-max"

    def pack(self, values: Floats) -> bytes:
        return pack_between_extremes(values)

    def unpack(self, data: bytes, count: int) -> Floats:
        return unpack_between_extremes(data)


class Blockwise(TensorScheme):
    """One byte a value, linear, and a half-precision scale a block (Dettmers et al., "8-bit Optimizers", ICLR 2022)."""

    family = "blockwise int8"

    def __init__(self, block: int) -> None:
        self.block = block
        self.label = f"blocks of {block}"

    def pack(self, values: Floats) -> bytes:
        scales, scaled = _by_blocks(values, self.block)
        return scales.tobytes() + np.rint(scaled * 127).astype(np.int8).reshape(-1)[: values.size].tobytes()

    def unpack(self, data: bytes, count: int) -> Floats:
        scales = np.frombuffer(data, "<f2", count=-(-count // self.block))
        levels = np.frombuffer(data, np.int8, offset=scales.nbytes)
        return _scaled(levels / np.float32(127), scales, self.block)


# The quantiles of the normal distribution that QLoRA codes by (Dettmers et al., NeurIPS 2023, appendix E).
_NF4 = np.array(
    [
        *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
        *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
        *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
        *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
    ],
    np.float32,
)


class NormalFloat(TensorScheme):
    """Four bits a value, one of 16 quantiles of the normal distribution, and a half-precision scale for every 64 values."""

    family = "nf4"
    label = "nf4"
    block = 64

    def pack(self, values: Floats) -> bytes:
        scales, scaled = _by_blocks(values, self.block)
        levels = np.searchsorted((_NF4[1:] + _NF4[:-1]) / 2, scaled.reshape(-1)).astype(np.uint8)
        return scales.tobytes() + (levels[::2] << 4 | levels[1::2]).tobytes()

    def unpack(self, data: bytes, count: int) -> Floats:
        scales = np.frombuffer(data, "<f2", count=-(-count // self.block))
        pairs = np.frombuffer(data, np.uint8, offset=scales.nbytes)
        levels = np.stack([pairs >> 4, pairs & 15], axis=1).reshape(-1)
        return _scaled(_NF4[levels], scales, self.block)[:count]


def _by_blocks(values: Floats, block: int) -> tuple[Array, Floats]:
    """Return the blocks' largest sizes as half floats, and the values (filled up with zeros) divided by them."""
    blocks = np.zeros((-(-values.size // block), block), np.float32)
    blocks.reshape(-1)[: values.size] = values
    scales = np.abs(blocks).max(axis=1).astype("<f2")
    divisors = np.where(scales > 0, scales, np.float16(1)).astype(np.float32)
    return scales, np.clip(blocks / divisors[:, None], -1, 1)


def _scaled(values: Array, scales: Array, block: int) -> Floats:
    factors = np.repeat(scales.astype(np.float32), block)[: values.size]
    return (values * factors).astype(np.float32)
