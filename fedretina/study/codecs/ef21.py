"""EF21: both ends keep an estimate, and the compressed difference from it travels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedretina.study.codecs.codec import Array, Floats, State, Update, check
from fedretina.study.codecs.layout import norm
from fedretina.study.codecs.sparse import TopK

_ESTIMATE = "estimate"


@dataclass(frozen=True, kw_only=True)
class Ef21(TopK):
    """g <- g + C(d - g), where C is top-k, and g is what arrives (Richtarik, Sokolov, Fatkhullin, NeurIPS 2021).

    Sender and receiver must see every update of the channel: each has a state of its own. It has no other feedback.
    """

    name = "ef21"
    decay: float | None = None

    def encode(self, update: Update, state: State) -> bytes:
        """Code how the update differs from the estimate, and move that."""
        difference = {name: values - estimate_of(state, name) for name, values in check(update, state).items()}
        data = self.pack(difference, state)
        _move(state, self.unpack(data, state))
        return data

    def decode(self, data: bytes, state: State) -> dict[str, Array]:
        """Move the estimate, and return it."""
        _move(state, self.unpack(data, state))
        return {name: estimate_of(state, name).astype(spec.dtype) for name, spec in state.specs.items()}

    def largest_error(self, update: Update) -> float:
        """Return the bound of the first update; with an estimate it holds for the distance from that."""
        return super().largest_error(update) + 1e-6 * norm(update)


def estimate_of(state: State, name: str) -> Floats:
    """Return the estimate of a tensor at one end; zeros at first."""
    found: Floats = state.memory.get(_ESTIMATE, {}).get(name)
    return np.zeros(state.specs[name].shape, np.float32) if found is None else found


def _move(state: State, difference: Mapping[str, Floats]) -> None:
    state.memory[_ESTIMATE] = {name: estimate_of(state, name) + values for name, values in difference.items()}
    state.rounds += 1
