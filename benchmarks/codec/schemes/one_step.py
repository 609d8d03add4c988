"""Ours with one absolute step for all tensors, of any size: what has the least error in the sum, as peers have it."""

import numpy as np

from codec.schemes.base import Payload, Scheme
from codec.schemes.integers import against_zeros
from codec.update import Array, Model, Update
from fedretina.dom import DomConfig, Effort, decode, encode, is_float

_BITS = 3
_UNIT = 10.0**-_BITS


class OneStep(Scheme):
    """`DomConfig.bits` at any step: the update enters multiplied, so that its step is a power of ten."""

    uses_dom = True

    def __init__(self, effort: Effort, step: float) -> None:
        self.step = step
        self.family = f"DoM {effort}, one step"
        self.label = f"step {step:.2g}"
        self.config = DomConfig(bits=_BITS, effort=effort)

    def encode(self, update: Update) -> Payload:
        """Code the multiplied update against zeros."""
        scale = np.float32(_UNIT / self.step)
        model = dict(update.new) | {name: values * scale for name, values in update.delta.items()}
        return [encode(model, base=against_zeros(update.base), config=self.config)]

    def decode(self, payload: Payload, base: Model) -> dict[str, Array]:
        """Divide, and add to the base."""
        scale = np.float32(self.step / _UNIT)
        found = decode(payload[0], base=against_zeros(base))
        return {name: _moved(base[name], d * scale) if is_float(d.dtype) else d for name, d in found.items()}


def _moved(base: Array, difference: Array) -> Array:
    return (base.astype(np.float32) + difference).astype(base.dtype)
