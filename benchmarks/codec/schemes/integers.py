"""Plain rounding with a step for all tensors, its integers through a general compressor or through our coder."""

import importlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.schemes.base import ByTensor, Payload, Scheme
from codec.update import Array, Model, Update
from fedretina.dom import DomConfig, decode, encode, is_float

_TYPES = (np.dtype(np.int8), np.dtype(np.int16), np.dtype(np.int32))
DEAD_ZONE = 0.3


def to_integers(values: Array, step: float, *, dead_zone: float = 0.5) -> NDArray[np.int32]:
    """Return ``sign(x) * floor(|x| + dead_zone)``, where x = values / step: plain rounding by default."""
    x = values.astype(np.float64) / step
    return np.trunc(x + np.copysign(dead_zone, x)).astype(np.int32)


def narrowest(values: NDArray[np.int32]) -> Array:
    """Return integers in the narrowest type that holds them."""
    largest = int(np.abs(values).max()) if values.size else 0
    return values.astype(next(dtype for dtype in _TYPES if largest <= np.iinfo(dtype).max))


class Rounded(ByTensor):
    """Plain rounding with the same step everywhere; a subclass codes the integers of a tensor."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.label = f"step {step:.2g}"

    def compress(self, integers: bytes) -> bytes:
        """Code a tensor's integers, in their narrowest type."""
        raise NotImplementedError

    def decompress(self, data: bytes) -> bytes:
        """Return the bytes of `compress`."""
        raise NotImplementedError

    def encode_floats(self, new: Array, base: Array) -> bytes:
        """Round the difference, and code its integers."""
        return self.compress(narrowest(to_integers(new - base, self.step)).tobytes())

    def decode_floats(self, data: bytes, base: Array) -> Array:
        """Add the difference to the base."""
        raw = self.decompress(data)
        integers = np.frombuffer(raw, f"i{len(raw) // base.size}").reshape(base.shape)
        return base + integers.astype(np.float32) * np.float32(self.step)


class RoundedZlib(Rounded):
    """Plain rounding, zlib level 6."""

    family = "rounding + zlib-6"

    def compress(self, integers: bytes) -> bytes:
        return zlib.compress(integers, 6)

    def decompress(self, data: bytes) -> bytes:
        return zlib.decompress(data)


class RoundedZstd(Rounded):
    """Plain rounding, Zstandard level 3, where the `zstandard` package is installed."""

    family = "rounding + zstd-3"

    @staticmethod
    def is_available() -> bool:
        """Return whether `zstandard` can be imported."""
        return importlib.util.find_spec("zstandard") is not None

    def compress(self, integers: bytes) -> bytes:
        found: bytes = _zstandard().ZstdCompressor(level=3).compress(integers)
        return found

    def decompress(self, data: bytes) -> bytes:
        found: bytes = _zstandard().ZstdDecompressor().decompress(data)
        return found


def _zstandard() -> Any:
    return importlib.import_module("zstandard")


class RoundedOurs(Scheme):
    """Plain rounding, its integers coded as ours are: what our quantiser is worth is the distance to this.

    The integers enter `encode` as multiples of 10^-3 and come out unchanged, whatever step they were made with.
    """

    family = "rounding + our coder"
    uses_dom = True
    _config = DomConfig(bits=3, rounding="nearest", effort="small")

    def __init__(self, step: float) -> None:
        self.step = step
        self.label = f"step {step:.2g}"

    def encode(self, update: Update) -> Payload:
        """Code the integers as a delta against zeros."""
        model = dict(update.new) | {name: self._multiples(values) for name, values in update.delta.items()}
        payload = encode(model, base=against_zeros(update.base), config=self._config)
        return [payload]

    def decode(self, payload: Payload, base: Model) -> dict[str, Array]:
        """Take the integers out, and add them to the base on their own step."""
        found = decode(payload[0], base=against_zeros(base))
        scale = np.float32(self.step)
        return {
            name: base[name] + np.rint(values * 1e3) * scale if values.dtype.kind == "f" else values
            for name, values in found.items()
        }

    def _multiples(self, values: Array) -> Array:
        return (to_integers(values, self.step) * 1e-3).astype(np.float32)


def against_zeros(base: Mapping[str, Array]) -> dict[str, Array]:
    """Return a base of zeros: a model against it is a difference."""
    return {name: np.zeros(v.shape, np.float32) if is_float(v.dtype) else v for name, v in base.items()}
