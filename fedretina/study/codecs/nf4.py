"""Four bits a value: the quantiles of the normal distribution."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedretina.study.codecs.codec import Codec, Floats, State, Update
from fedretina.study.codecs.int8 import scale_blocks, unscale
from fedretina.study.codecs.layout import Reader, flatten, split

# Appendix E of the paper.
LEVELS = np.array(
    [
        *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
        *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
        *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
        *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
    ],
    np.float32,
)
_WIDEST = float(np.diff(LEVELS).max())


@dataclass(frozen=True, kw_only=True)
class NormalFloat4(Codec):
    """16 levels, and a float32 scale a block (QLoRA: Dettmers et al., NeurIPS 2023), without double quantisation."""

    name = "nf4"
    block: int = 64

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Code the update as one vector, two values a byte."""
        vector = flatten(update)
        scales, scaled = scale_blocks(vector, self.block)
        flat = scaled.reshape(-1)[: vector.size + vector.size % 2]
        levels = np.searchsorted((LEVELS[1:] + LEVELS[:-1]) / 2, flat).astype(np.uint8)
        return scales.tobytes() + (levels[::2] << 4 | levels[1::2]).tobytes()

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Read scales, then levels."""
        reader = Reader(data)
        scales = reader.take("<f4", -(-state.size // self.block))
        pairs = reader.take(np.uint8, -(-state.size // 2))
        reader.finish()
        levels = np.stack([pairs >> 4, pairs & 15], axis=1).reshape(-1)[: state.size]
        return split(unscale(LEVELS[levels], scales, self.block), state)

    def largest_error(self, update: Update) -> float:
        """Return half the widest gap between levels for every value, times its block's scale."""
        vector = flatten({name: values.astype(np.float32) for name, values in update.items()})
        scales = scale_blocks(vector, self.block)[0].astype(np.float64)
        return float(0.501 * _WIDEST * np.sqrt(np.square(scales).sum() * self.block))
