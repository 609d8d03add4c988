"""What an update is worth: the share of a round's loss improvement that its decoded form loses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from codec.update import Array, Model


@dataclass(frozen=True)
class Judge:
    """Judges models between a base and what a round made of it, by the loss on data that the round did not train on.

    `loss` takes a model as a mapping of arrays, and always measures on the same data.
    """

    loss: Callable[[Model], float]
    base: Model
    new: Model

    @cached_property
    def losses(self) -> tuple[float, float]:
        """The losses of base and new."""
        return self.loss(self.base), self.loss(self.new)

    def lost_by(self, model: Model) -> float:
        """Return what a decoded model loses: 0 where it is as good as new, 1 where it is as bad as the base."""
        before, after = self.losses
        return (self.loss(model) - after) / (before - after)

    def lost(self, update: Mapping[str, Array]) -> float:
        """Return the same of differences by name; a tensor without one stays as in the base."""
        return self.lost_by({name: _moved(values, update.get(name)) for name, values in self.base.items()})


def loss_of(network: nn.Module, measure: Callable[[nn.Module], Tensor]) -> Callable[[Model], float]:
    """Return a loss of models: they are loaded into the network (what they lack stays), and measured without gradients."""

    def loss(model: Model) -> float:
        state = {name: torch.from_numpy(np.array(values, _loadable(values))) for name, values in model.items()}
        network.load_state_dict(state, strict=False)
        network.eval()
        with torch.no_grad():
            return float(measure(network))

    return loss


def _loadable(values: Array) -> np.dtype:
    """Return the dtype for torch: it takes no bfloat16 from NumPy."""
    return values.dtype if values.dtype.kind in "iub" else np.dtype(np.float32)


def _moved(values: Array, difference: Array | None) -> Array:
    return values if difference is None else (values + difference.astype(np.float32)).astype(values.dtype)
