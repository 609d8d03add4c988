"""Personalised heads: nodes share the body of the network only, each keeps a head of its own in its state."""

from collections.abc import Sequence

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from torch import nn

import digits_task as digits
from apps import learning
from apps.app import App, Mod, Result, Setting
from apps.learning import Data

HELD_OUT = 4  # every fourth image of a node is for its test


def network(seed: int) -> nn.Sequential:
    """Make a body and a head."""
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 48), nn.ReLU())
    return nn.Sequential(body, nn.Linear(48, 10))


def parts_of(data: Data, *, tested: bool) -> Data:
    """Give a node's training data, or its test data."""
    chosen = (torch.arange(len(data[1])) % HELD_OUT == 0) == tested
    return data[0][chosen], data[1][chosen]


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp."""
    app = ClientApp(mods=list(mods))

    def own(message: Message, context: Context) -> nn.Sequential:
        model = network(setting.seed)
        digits.load(model[0], message.content.array_records["arrays"])
        if "head" in context.state:
            digits.load(model[1], context.state.array_records["head"])
        return model

    @app.train()
    def train(message: Message, context: Context) -> Message:
        model, number = own(message, context), int(message.content.config_records["config"]["server-round"])
        data = parts_of(learning.digits_of(context, setting, skew=0.3), tested=False)
        digits.train(model, data, epochs=1, batch=16, lr=0.05, seed=setting.seed + number)
        context.state["head"] = digits.record_of(model[1])
        metrics = MetricRecord({"num-examples": len(data[1])})
        return learning.reply(message, {"arrays": digits.record_of(model[0])}, metrics)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        data = parts_of(learning.digits_of(context, setting, skew=0.3), tested=True)
        scores = digits.measure(own(message, context).eval(), data)
        return learning.reply(message, {}, MetricRecord({"num-examples": len(data[1]), **scores}))

    return app


def server(grid: Grid, setting: Setting) -> Result:
    """Run FedAvg over the bodies; nodes measure with their own heads."""
    strategy = FedAvg(fraction_train=0.5, min_available_nodes=setting.nodes, min_evaluate_nodes=setting.nodes)
    first: ArrayRecord = digits.record_of(network(setting.seed)[0])
    result = strategy.start(grid, first, num_rounds=setting.rounds)
    metrics = [float(score["accuracy"]) for score in result.evaluate_metrics_clientapp.values()]
    return Result(metrics, learning.model_of(result.arrays))


APP = App(name="personal", title="Personalised heads", metric="accuracy, %", client=client, server=server, nodes=8)
