"""Handwritten digits: the data of a node, a model of 100,000 parameters, an epoch of SGD, accuracy."""

from functools import cache

import numpy as np
import torch
from flwr.app import Array, ArrayRecord
from sklearn.datasets import load_digits
from torch import Tensor, nn

TESTED = 360
CLASSES = 10


@cache
def images() -> tuple[Tensor, Tensor]:
    """Give scikit-learn's digits, shuffled once and for all: images (1797, 64) in [0, 1], labels (1797,)."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return torch.tensor(x[order] / 16, dtype=torch.float32), torch.tensor(y[order])


def tested() -> tuple[Tensor, Tensor]:
    """Give the images that nobody trains on."""
    x, y = images()
    return x[:TESTED], y[:TESTED]


def of_node(place: int, nodes: int, *, skew: float, seed: int) -> tuple[Tensor, Tensor]:
    """Give a node's images: the digits are dealt to the nodes label by label, in shares from a Dirichlet distribution.

    Where there are more nodes than a label has images, nodes share some; none is without.
    """
    x, y = (part[TESTED:] for part in images())
    rng = np.random.default_rng(seed)
    mine: list[int] = []
    for label in range(CLASSES):
        of_label = np.flatnonzero(y.numpy() == label)
        ends = (np.cumsum(rng.dirichlet([skew] * nodes)) * len(of_label)).round().astype(int)
        mine += of_label[ends[place - 1] if place else 0 : ends[place]].tolist()
    while len(mine) < 2:
        mine.append((place + len(mine) * 97) % len(y))
    return x[mine], y[mine]


def network(seed: int) -> nn.Module:
    """Make the model: 64-512-128-10, 100,234 parameters."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, CLASSES)
    )  # fmt: skip


def record_of(model: nn.Module) -> ArrayRecord:
    """Make a record of a model."""
    return ArrayRecord({name: Array(tensor.detach().numpy()) for name, tensor in model.state_dict().items()})


def load(model: nn.Module, record: ArrayRecord) -> nn.Module:
    """Set a model's weights from a record."""
    model.load_state_dict({name: torch.from_numpy(array.numpy()) for name, array in record.items()})
    return model


def train(
    model: nn.Module, data: tuple[Tensor, Tensor], *, epochs: int, batch: int, lr: float, seed: int, proximal: float = 0.0
) -> float:
    """Train by SGD with momentum, and give the last epoch's mean loss; `proximal`: FedProx's mu."""
    x, y = data
    generator = torch.Generator().manual_seed(seed)
    start = [parameter.detach().clone() for parameter in model.parameters()]
    optimiser = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    losses: list[float] = []
    for _ in range(epochs):
        losses.clear()
        for part in torch.randperm(len(y), generator=generator).split(batch):
            loss = nn.functional.cross_entropy(model(x[part]), y[part])
            if proximal:
                pairs = zip(model.parameters(), start, strict=True)
                loss = loss + proximal / 2 * torch.stack([(p - s).square().sum() for p, s in pairs]).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
    return float(np.mean(losses))


@torch.no_grad()
def measure(model: nn.Module, data: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Measure accuracy (percent) and loss."""
    x, y = data
    output = model(x)
    accuracy = 100 * float((output.argmax(1) == y).float().mean())
    return {"accuracy": accuracy, "loss": float(nn.functional.cross_entropy(output, y))}
