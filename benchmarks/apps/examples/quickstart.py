"""Flower's quickstart with PyTorch: FedAvg and a small CNN, half of the nodes train in each round."""

from collections.abc import Sequence

import torch
from flwr.app import ArrayRecord, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from torch import nn

import digits_task as digits
from apps import learning
from apps.app import App, Mod, Result, Setting


def cnn(seed: int) -> nn.Module:
    """Make a CNN of 10,154 parameters."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(512, 10),
    )  # fmt: skip


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp."""
    return learning.client(mods, cnn, lambda context: learning.digits_of(context, setting), setting.seed)


def server(grid: Grid, setting: Setting) -> Result:
    """Run FedAvg, with the server's own evaluation after each round."""
    metrics = []

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        score = learning.accuracy(cnn, arrays)
        if number:
            metrics.append(score)
        return MetricRecord({"accuracy": score})

    strategy = FedAvg(fraction_train=0.5, fraction_evaluate=0.5, min_available_nodes=setting.nodes)
    first = digits.record_of(cnn(setting.seed))
    result = strategy.start(grid, first, num_rounds=setting.rounds, evaluate_fn=evaluate)
    return Result(metrics, learning.model_of(result.arrays))


APP = App(name="quickstart", title="Quickstart: FedAvg, CNN", metric="accuracy, %", client=client, server=server, nodes=10)
