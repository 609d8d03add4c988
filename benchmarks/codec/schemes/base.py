"""What every scheme is: a model against its base to bytes, and back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from codec.update import Array, Model, Update
from fedretina.dom import is_float

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
        return self.encode_floats(new, base) if is_float(new.dtype) else new.tobytes()

    def _decode(self, data: bytes, base: Array) -> Array:
        if not is_float(base.dtype):
            return np.frombuffer(data, base.dtype).reshape(base.shape)
        return self.decode_floats(data, base)
