"""One byte a value: between each tensor's extremes, or linear in blocks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedretina.study.codecs.codec import Array, Codec, Floats, State, Update
from fedretina.study.codecs.layout import Reader, flatten, in_blocks, split

_LEVELS = 255
_HALF = 0.5 + 1e-3  # a step: rounding to the nearest, and float32's own rounding


@dataclass(frozen=True, kw_only=True)
class Int8(Codec):
    """256 levels between a tensor's smallest and largest value, which lead as float32 (Jacob et al., CVPR 2018)."""

    name = "int8"

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Code tensor by tensor."""
        return b"".join(_between_extremes(values) for values in update.values() if values.size)

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Read tensor by tensor."""
        reader = Reader(data)
        found = {name: _read(reader, spec.size).reshape(spec.shape) for name, spec in state.specs.items()}
        reader.finish()
        return found

    def largest_error(self, update: Update) -> float:
        """Return half a step for every value."""
        steps = [(float(np.ptp(v.astype(np.float32))) / _LEVELS, v.size) for v in update.values() if v.size]
        return math.sqrt(sum((_HALF * step) ** 2 * size for step, size in steps))


def _between_extremes(values: Floats) -> bytes:
    low, high = values.min(), values.max()
    scale = high / _LEVELS - low / _LEVELS or np.float32(1)
    levels = np.rint((values - low) / scale).clip(0, _LEVELS).astype(np.uint8)
    return b"".join([np.array([low, scale], "<f4").tobytes(), levels.tobytes()])


def _read(reader: Reader, size: int) -> Floats:
    if not size:
        return np.zeros(0, np.float32)
    low, scale = reader.take("<f4", 2)
    found: Floats = low + reader.take(np.uint8, size).astype(np.float32) * scale
    return found


@dataclass(frozen=True, kw_only=True)
class BlockwiseInt8(Codec):
    """Levels from -127 to 127 of each block's largest size, a float32 (Dettmers et al., "8-bit Optimizers", ICLR 2022)."""

    name = "int8-blocks"
    block: int = 256

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Code the update as one vector."""
        vector = flatten(update)
        scales, scaled = scale_blocks(vector, self.block)
        levels = np.rint(scaled * 127).astype(np.int8).reshape(-1)[: vector.size]
        return scales.tobytes() + levels.tobytes()

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Read scales, then levels."""
        reader = Reader(data)
        scales = reader.take("<f4", -(-state.size // self.block))
        levels = reader.take(np.int8, state.size)
        reader.finish()
        return split(unscale(levels / np.float32(127), scales, self.block), state)

    def largest_error(self, update: Update) -> float:
        """Return half a step for every value, with the largest block's step."""
        vector = flatten({name: values.astype(np.float32) for name, values in update.items()})
        steps = scale_blocks(vector, self.block)[0].astype(np.float64) / 127
        return float(_HALF * np.sqrt(np.square(steps).sum() * self.block))


def scale_blocks(vector: Floats, block: int) -> tuple[Floats, Floats]:
    """Return the largest size of each block, float32, and the blocks divided by it (the last is filled up with zeros)."""
    blocks = in_blocks(vector, block)
    scales = np.abs(blocks).max(axis=1)
    divisors = np.where(scales > 0, scales, 1).astype(np.float32)
    return scales.astype("<f4"), (blocks / divisors[:, None]).astype(np.float32)


def unscale(values: Array, scales: Array, block: int) -> Floats:
    """Multiply values by their blocks' scales."""
    found: Floats = (values * np.repeat(scales, block)[: values.size]).astype(np.float32)
    return found
