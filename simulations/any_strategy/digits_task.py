"""Handwritten digits: the data of a node, a model of 100,000 parameters, training by SGD, accuracy."""

import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord
from sklearn.datasets import load_digits
from torch import Tensor, nn

TESTED = 360
CLASSES = 10
PARTS = 10
"""Parts of the digits for real nodes."""


@cache
def images() -> tuple[Tensor, Tensor]:
    """Load scikit-learn's digits in a fixed random order: images (1797, 64) in [0, 1], labels (1797,)."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return torch.tensor(x[order] / 16, dtype=torch.float32), torch.tensor(y[order])


def tested() -> tuple[Tensor, Tensor]:
    """Return the test images and labels; no node trains on them."""
    x, y = images()
    return x[:TESTED], y[:TESTED]


def part_of(node: Mapping[str, Any]) -> tuple[int, int]:
    """Return which part of the digits a node has, and how many parts there are, from the node's configuration.

    A simulation numbers its nodes. A real node has no number: the names of its domains choose one of ten parts.
    """
    if "partition-id" in node:
        return int(node["partition-id"]), int(node["num-partitions"])
    return zlib.crc32(str(node.get("domains", "")).encode()) % PARTS, PARTS


def of_node(index: int, nodes: int, *, skew: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return a node's images and labels. The images of each label are split by shares from a Dirichlet distribution.

    A node with fewer than two images gets images of other nodes too, so that it can train.
    """
    x, y = (part[TESTED:] for part in images())
    rng = np.random.default_rng(seed)
    own: list[int] = []
    for label in range(CLASSES):
        of_label = np.flatnonzero(y.numpy() == label)
        ends = (np.cumsum(rng.dirichlet([skew] * nodes)) * len(of_label)).round().astype(int)
        own += of_label[ends[index - 1] if index else 0 : ends[index]].tolist()
    while len(own) < 2:
        own.append((index + len(own) * 97) % len(y))
    return x[own], y[own]


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
    """Load a record into a model, and return the model."""
    model.load_state_dict({name: torch.from_numpy(array.numpy()) for name, array in record.items()})
    return model


def train(
    model: nn.Module, data: tuple[Tensor, Tensor], *, epochs: int, batch: int, lr: float, seed: int, proximal: float = 0.0
) -> float:
    """Train by SGD with momentum, and return the mean loss of the last epoch; `proximal` is FedProx's mu."""
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
