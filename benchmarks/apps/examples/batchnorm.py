"""Small networks whose first layer is BatchNorm on a table in its own units; steps so large that training is chaotic."""

from collections.abc import Sequence
from functools import partial

import torch
from flwr.app import ArrayRecord, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from torch import nn

import digits_task as digits
from apps import learning
from apps.app import App, Mod, Result, Setting

SIZES = {"wine": (13, 3), "breast_cancer": (30, 2)}
LR = 0.1  # with momentum 0.9


def network(table: str, seed: int) -> nn.Module:
    """Make a network that scales its inputs itself: by a running mean and variance."""
    torch.manual_seed(seed)
    columns, classes = SIZES[table]
    return nn.Sequential(nn.BatchNorm1d(columns), nn.Linear(columns, 16), nn.ReLU(), nn.Linear(16, classes))


def client(table: str, mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp."""
    rows = partial(learning.rows_of, table, setting=setting)
    return learning.client(mods, partial(network, table), rows, setting.seed)


def server(table: str, grid: Grid, setting: Setting) -> Result:
    """Run FedAvg."""
    scores = []

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        scores.append(learning.accuracy(partial(network, table), arrays, learning.table(table)[1]))
        return MetricRecord({"accuracy": scores[-1]})

    strategy = FedAvg(fraction_train=0.5, min_available_nodes=setting.nodes)
    first = digits.record_of(network(table, setting.seed))
    config = learning.ConfigRecord({"lr": LR})
    result = strategy.start(grid, first, setting.rounds, train_config=config, evaluate_fn=evaluate)
    return Result(scores[1:], learning.model_of(result.arrays))


def _app(table: str, title: str) -> App:
    return App(
        name=f"batchnorm-{table.replace('_', '-')}",
        title=title,
        metric="accuracy, %",
        client=partial(client, table),
        server=partial(server, table),
        nodes=4,
        rounds=20,
        seeds=10,
    )


WINE = _app("wine", "BatchNorm first, wine, chaotic")
CANCER = _app("breast_cancer", "BatchNorm first, tumours, chaotic")
