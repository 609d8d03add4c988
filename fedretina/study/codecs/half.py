"""Half precision: every value in 16 bits, as IEEE's float16 or as bfloat16."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import ml_dtypes
import numpy as np

from fedretina.errors import BadArgument
from fedretina.study.codecs.codec import Codec, Floats, State, Update
from fedretina.study.codecs.layout import Reader, count, flatten, norm, split


@dataclass(frozen=True, kw_only=True)
class Float16(Codec):
    """IEEE half precision: 11 significant bits (Micikevicius et al., "Mixed Precision Training", ICLR 2018)."""

    name = "fp16"
    dtype: ClassVar[np.dtype[Any]] = np.dtype("<f2")
    unit: ClassVar[float] = 2.0**-11
    smallest: ClassVar[float] = 2.0**-24
    limit: ClassVar[float] = 65504.0

    def pack(self, update: Mapping[str, Floats], state: State) -> bytes:
        """Round to the nearest; raise `BadArgument` where that is infinite."""
        vector = flatten(update)
        largest = float(np.abs(vector).max(initial=0))
        if largest > self.limit:
            raise BadArgument(f"the update holds {largest:g}; {self.name} takes up to {self.limit:g}; use another codec")
        return vector.astype(self.dtype).tobytes()

    def unpack(self, data: bytes, state: State) -> Mapping[str, Floats]:
        """Read the values."""
        reader = Reader(data)
        values = reader.take(self.dtype, state.size).astype("f4")
        reader.finish()
        return split(values, state)

    def largest_error(self, update: Update) -> float:
        """Return half a unit in the last place of each value; subnormal values have one of their own."""
        return self.unit * norm(update) + self.smallest * math.sqrt(count(update))


@dataclass(frozen=True, kw_only=True)
class BFloat16(Float16):
    """bfloat16: 8 significant bits, float32's exponents (Kalamkar et al., arXiv 1905.12322)."""

    name = "bf16"
    dtype: ClassVar[np.dtype[Any]] = np.dtype(ml_dtypes.bfloat16)
    unit: ClassVar[float] = 2.0**-8
    smallest: ClassVar[float] = 2.0**-133
    limit: ClassVar[float] = (2 - 2.0**-7) * 2.0**127
