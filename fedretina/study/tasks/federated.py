"""What a federation trains in a study: clients with data of their own, one model, one number that says how good it is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fedretina.errors import BadArgument

Model = Mapping[str, NDArray[Any]]


class FederatedTask(ABC):
    """A federation's training. Derive from it, or from `NetworkTask`, to bring your own; instances need not be picklable.

    Attributes
    ----------
    metric : str
        Name of what `measure` returns.
    lower_is_better : bool, default False
        Whether less of it is better, as with a loss.
    """

    metric: ClassVar[str]
    lower_is_better: bool = False

    @property
    @abstractmethod
    def clients(self) -> int:
        """Number of clients."""

    @abstractmethod
    def first_model(self, seed: int) -> Model:
        """Return the model before the first round: float arrays by name, only what travels."""

    @abstractmethod
    def train(self, model: Model, client: int, *, steps: int, seed: int) -> Model:
        """Return what so many steps on a client's data make of a model; equal seeds give equal arrays."""

    @abstractmethod
    def measure(self, model: Model) -> float:
        """Return the metric of a model, on data that no client trains on."""


class NetworkTask(FederatedTask):
    """Trains a torch network with AdamW, a fresh one each round (as DiLoCo's clients do, but without its state)."""

    lr: float = 1e-3
    decay: float = 0.01

    @abstractmethod
    def build(self) -> nn.Module:
        """Return a fresh network, drawn from torch's global generator. Its trainable parameters and float buffers travel."""

    @abstractmethod
    def losses(self, network: nn.Module, client: int, *, steps: int, seed: int) -> Iterator[Tensor]:
        """Compute the loss of each batch of a client, one after the other."""

    @abstractmethod
    def score(self, network: nn.Module) -> float:
        """Compute the metric of a network in evaluation mode."""

    def first_model(self, seed: int) -> Model:
        """Return the arrays of a network that follows from the seed."""
        with drawn_from(seed):
            return arrays(self.build())

    def train(self, model: Model, client: int, *, steps: int, seed: int) -> Model:
        """Load the model, take the steps, return the arrays."""
        network = self.loaded(model)
        network.train()
        optimiser = torch.optim.AdamW((p for p in network.parameters() if p.requires_grad), self.lr, weight_decay=self.decay)
        with drawn_from(seed):
            for loss in self.losses(network, client, steps=steps, seed=seed):
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
        return arrays(network)

    def measure(self, model: Model) -> float:
        """Load the model, and compute its metric."""
        network = self.loaded(model)
        network.eval()
        with torch.no_grad():
            return self.score(network)

    def loaded(self, model: Model) -> nn.Module:
        """Return a network with these arrays."""
        with drawn_from(0):
            return load(self.build(), model)


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Seed torch's global generator inside the block, and restore it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def arrays(network: nn.Module) -> Model:
    """Copy what travels: the parameters that require gradients, and the buffers of floats (BatchNorm's statistics)."""
    trained = {name: p.detach() for name, p in network.named_parameters() if p.requires_grad}
    buffers = {name: b for name, b in network.named_buffers() if b.is_floating_point()}
    return {name: tensor.numpy().copy() for name, tensor in (trained | buffers).items()}


def load(network: nn.Module, model: Model) -> nn.Module:
    """Put arrays into a network, and return it; `BadArgument` if one has no place."""
    state = {name: torch.from_numpy(np.array(values)) for name, values in model.items()}
    unknown = network.load_state_dict(state, strict=False).unexpected_keys
    if unknown:
        raise BadArgument(f"the network has no tensors {', '.join(unknown)}; give a model of this network")
    return network
