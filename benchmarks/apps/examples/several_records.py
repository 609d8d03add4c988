"""Several array records in a message, both ways: a model, a second model, and statistics of the data."""

import random
from collections.abc import Sequence

import numpy as np
import torch
from flwr.app import Context, Message, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from torch import Tensor, nn

import digits_task as digits
from apps import learning
from apps.app import App, Mod, Result, Setting
from apps.learning import Model


def probe(seed: int) -> nn.Module:
    """Make the second model, a linear one."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 10))


def scaled(x: Tensor, statistics: Model) -> Tensor:
    """Scale images by the mean and deviation of all nodes' images."""
    count = max(1, int(statistics["count"]))
    mean = statistics["sum"] / count
    deviation = np.sqrt(np.maximum(statistics["squares"] / count - mean**2, 0)) + 0.1
    return (x - torch.from_numpy(mean).float()) / torch.from_numpy(deviation).float()


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp: it trains both models, and counts."""
    app = ClientApp(mods=list(mods))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        records = message.content.array_records
        x, y = learning.digits_of(context, setting)
        data = scaled(x, learning.model_of(records["statistics"])), y
        number = setting.seed + int(message.content.config_records["config"]["server-round"])
        model, second = digits.load(learning.mlp(0), records["model"]), digits.load(probe(0), records["probe"])
        for each in (model, second):
            digits.train(each, data, epochs=1, batch=16, lr=0.02, seed=number)
        wide = x.numpy().astype(np.float64)
        own = {"sum": wide.sum(0), "squares": (wide**2).sum(0), "count": np.array(len(y), np.int64)}
        answer = {"model": digits.record_of(model), "probe": digits.record_of(second)}
        answer["statistics"] = learning.record_of(own)
        return learning.reply(message, answer, MetricRecord({"num-examples": len(y)}))

    return app


def server(grid: Grid, setting: Setting) -> Result:
    """Average the models, add up the statistics; half of the nodes answer in each round."""
    model, second = (digits.record_of(make(setting.seed)) for make in (learning.mlp, probe))
    statistics: Model = {"sum": np.zeros(64), "squares": np.ones(64), "count": np.array(1, np.int64)}
    nodes, metrics = list(grid.get_node_ids()), []
    for number in range(1, setting.rounds + 1):
        down = {"model": model, "probe": second, "statistics": learning.record_of(statistics)}
        replies = learning.ask(grid, random.sample(nodes, len(nodes) // 2), down, number)
        model, second = (learning.record_of(learning.mean_of(replies, name)) for name in ("model", "probe"))
        parts = [learning.model_of(content.array_records["statistics"]) for content in replies]
        statistics = {name: np.sum([part[name] for part in parts], axis=0) for name in statistics}
        x, y = digits.tested()
        tested = scaled(x, statistics), y
        scores = [learning.accuracy(make, one, tested) for make, one in ((learning.mlp, model), (probe, second))]
        metrics.append(float(np.mean(scores)))
    return Result(metrics, learning.model_of(model) | statistics)


APP = App(
    name="several-records",
    title="Two models and statistics in a message",
    metric="mean accuracy, %",
    client=client,
    server=server,
    exact=("* */statistics",),
)
