"""What every scheme is: a model against its base to bytes, and back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from codec.update import Array, Floats, Model, Update

Payload = Sequence[bytes]


class Scheme(ABC):
    """A way to send `Update.new` to somebody who holds `Update.base`.

    `family` names the curve that its points belong to, `label` the point. Payloads are whole: what the receiver needs beside
    the base's names and shapes is in them.
    """

    family: str
    label: str
    uses_dom: bool = False
    """whether its results change when `fedretina.dom` does"""
    encode_s: float = 0.0
    """seconds of the last `encode`, where the scheme runs elsewhere and knows better than its caller's clock"""
    decode_s: float = 0.0

    @abstractmethod
    def encode(self, update: Update) -> Payload:
        """Return the payload, in any number of parts."""

    @abstractmethod
    def decode(self, payload: Payload, base: Model) -> dict[str, Array]:
        """Return what the receiver holds then."""


class ByTensor(Scheme):
    """A scheme that codes each tensor on its own: floats as a subclass does, others as they are."""

    @abstractmethod
    def encode_floats(self, new: Array, base: Array) -> bytes:
        """Code a tensor of floats."""

    @abstractmethod
    def decode_floats(self, data: bytes, base: Array) -> Array:
        """Return what the receiver holds of it then."""

    def encode(self, update: Update) -> Payload:
        """Code the tensors in the order of their names."""
        return [self._encode(update.new[name], update.base[name]) for name in sorted(update.new)]

    def decode(self, payload: Payload, base: Model) -> dict[str, Array]:
        """Return what the receiver holds then."""
        return {name: self._decode(data, base[name]) for name, data in zip(sorted(base), payload, strict=True)}

    def _encode(self, new: Array, base: Array) -> bytes:
        return self.encode_floats(new, base) if new.dtype.kind == "f" else new.tobytes()

    def _decode(self, data: bytes, base: Array) -> Array:
        if base.dtype.kind != "f":
            return np.frombuffer(data, base.dtype).reshape(base.shape)
        return self.decode_floats(data, base)


class TensorScheme(ByTensor):
    """A scheme that codes each tensor's difference on its own, as peers do.

    Matrices (two and more dimensions) are coded by `pack`. The few other floats travel as int8 between their extremes in
    every such scheme, integers as they are; names, shapes and lengths travel for nothing.
    """

    @abstractmethod
    def pack(self, values: Floats) -> bytes:
        """Code a flat matrix."""

    @abstractmethod
    def unpack(self, data: bytes, count: int) -> Floats:
        """Return the `count` values of `pack`."""

    def encode_floats(self, new: Array, base: Array) -> bytes:
        """Code the difference."""
        difference = (new - base).reshape(-1)
        return self.pack(difference) if new.ndim >= 2 else pack_between_extremes(difference)

    def decode_floats(self, data: bytes, base: Array) -> Array:
        """Add the difference to the base."""
        flat = self.unpack(data, base.size) if base.ndim >= 2 else unpack_between_extremes(data)
        return base + flat.reshape(base.shape)


def pack_between_extremes(values: Floats) -> bytes:
    """Code values as 256 levels between the smallest and the largest, which lead as float32."""
    low, high = np.float32(values.min()), np.float32(values.max())
    scale = (high - low) / np.float32(255) or np.float32(1)
    levels = np.rint((values - low) / scale).astype(np.uint8)
    return np.array([low, scale], "<f4").tobytes() + levels.tobytes()


def unpack_between_extremes(data: bytes) -> Floats:
    """Return the values of `pack_between_extremes`."""
    low, scale = np.frombuffer(data, "<f4", count=2)
    return low + np.frombuffer(data, np.uint8, offset=8).astype(np.float32) * scale
