"""Federated distillation, as FedMD: nodes exchange logits on public images, and each keeps a network of its own."""

from collections.abc import Sequence

import numpy as np
import torch
from flwr.app import Context, Message, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from torch import nn

import digits_task as digits
from apps import learning
from apps.app import App, Mod, Result, Setting
from apps.learning import Data

PUBLIC = 180  # images of the test set that all nodes know; the others measure


def parts_of_tested() -> tuple[Data, Data]:
    """Give the public images and those for measurement."""
    x, y = digits.tested()
    return (x[:PUBLIC], y[:PUBLIC]), (x[PUBLIC:], y[PUBLIC:])


def network(width: int) -> nn.Module:
    """Make a network; nodes differ in width, so their weights could not be averaged."""
    torch.manual_seed(width)
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp: it learns from the others' logits and its own images; its network stays in its state."""
    app = ClientApp(mods=list(mods))
    (public, _), tested = parts_of_tested()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        place, number = learning.place_of(context), int(message.content.config_records["config"]["server-round"])
        model = network(24 + 8 * place)
        if "network" in context.state:
            digits.load(model, context.state.array_records["network"])
        wanted = torch.from_numpy(message.content.array_records["arrays"]["logits"].numpy())
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        for _ in range(20 if number > 1 else 0):
            optimiser.zero_grad()
            nn.functional.mse_loss(model(public), wanted).backward()
            optimiser.step()
        data = learning.digits_of(context, setting, skew=0.5)
        digits.train(model, data, epochs=1, batch=16, lr=0.05, seed=setting.seed + number)
        context.state["network"] = digits.record_of(model)
        with torch.no_grad():
            logits = model(public).numpy()
        metrics = MetricRecord({"num-examples": len(data[1]), **digits.measure(model, tested)})
        return learning.reply(message, {"arrays": learning.record_of({"logits": logits})}, metrics)

    return app


def server(grid: Grid, setting: Setting) -> Result:
    """Average the logits; all nodes answer, and report what their networks reach."""
    logits, metrics = np.zeros((PUBLIC, 10), np.float32), []
    for number in range(1, setting.rounds + 1):
        replies = learning.ask(grid, grid.get_node_ids(), {"arrays": learning.record_of({"logits": logits})}, number)
        logits = np.mean([content.array_records["arrays"]["logits"].numpy() for content in replies], axis=0)
        metrics.append(float(np.mean([content.metric_records["metrics"]["accuracy"] for content in replies])))
    return Result(metrics, {"logits": logits})


APP = App(
    name="distillation",
    title="Distillation: logits of public images",
    metric="mean accuracy, %",
    client=client,
    server=server,
    exact=("*",),
    same_result=True,
    rounds=20,
)
