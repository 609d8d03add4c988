"""scikit-learn's digits: a network learns them from clients that have some digits more than others; seconds."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from fedretina.study.tasks.federated import NetworkTask
from fedretina.task import shuffled

TRAINED, CLASSES, BATCH, WIDTH = 1200, 10, 32, 256
_SKEW = 1.0  # of Dirichlet's distribution: how unequally a digit is dealt (Hsu, Qi, Brown, arXiv 1909.06335)


@dataclass(frozen=True, kw_only=True)
class Digits(NetworkTask):
    """A perceptron of two hidden layers, 85,000 parameters; accuracy on 597 digits that no client has."""

    clients: int = 4
    metric = "accuracy"
    lr = 1e-3

    def build(self) -> nn.Module:
        """Return a fresh network."""
        hidden = (nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())
        return nn.Sequential(*hidden, nn.Linear(WIDTH, CLASSES))

    def losses(self, network: nn.Module, client: int, *, steps: int, seed: int) -> Iterator[Tensor]:
        """Draw batches of the client's digits."""
        images, labels = digits()
        own = shares(self.clients)[client]
        batches = shuffled(len(own), BATCH, torch.Generator().manual_seed(seed))
        for index, _ in zip(batches, range(steps), strict=False):
            yield nn.functional.cross_entropy(network(images[own[index]]), labels[own[index]])

    def score(self, network: nn.Module) -> float:
        """Compute the accuracy in percent."""
        images, labels = (part[TRAINED:] for part in digits())
        return 100 * float((network(images).argmax(1) == labels).float().mean())


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return all digits in an order drawn by chance: images (N, 64) from 0 to 1, and labels (N,)."""
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    return torch.tensor(images / 16, dtype=torch.float32)[order], torch.tensor(labels)[order]


@cache
def shares(clients: int) -> tuple[Tensor, ...]:
    """Return which training digits each client has; each has at least one."""
    rng, labels = np.random.default_rng(0), digits()[1][:TRAINED].numpy()
    owners = rng.permutation(np.arange(TRAINED) % clients)
    for digit in range(CLASSES):
        places = np.flatnonzero(labels == digit)
        owners[places] = rng.choice(clients, len(places), p=rng.dirichlet(np.full(clients, _SKEW)))
    owners[:clients] = np.arange(clients)
    return tuple(torch.from_numpy(np.flatnonzero(owners == client)) for client in range(clients))
