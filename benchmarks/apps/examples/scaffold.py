"""SCAFFOLD (Karimireddy et al., 2020): messages hold the model and, under the same names, control variates."""

import random
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

LR, STEPS = 0.1, 15


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp: a node's own control variate stays in its state."""
    app = ClientApp(mods=list(mods))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        x, y = learning.digits_of(context, setting, skew=0.3)
        number = int(message.content.config_records["config"]["server-round"])
        first = learning.model_of(message.content.array_records["model"])
        control = learning.model_of(message.content.array_records["control"])
        stored = context.state.array_records.get("control")
        own = learning.model_of(stored) if stored is not None else {name: 0 * array for name, array in control.items()}
        model = digits.load(learning.mlp(0), message.content.array_records["model"])
        shift = {name: torch.from_numpy(control[name] - own[name]) for name in control}
        generator = torch.Generator().manual_seed(setting.seed + number)
        for part in torch.randint(len(y), (STEPS, 16), generator=generator):
            model.zero_grad()
            nn.functional.cross_entropy(model(x[part]), y[part]).backward()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    parameter.sub_(LR * (parameter.grad + shift[name]))
        trained = learning.model_of(digits.record_of(model))
        scale = np.float32(1 / (STEPS * LR))
        new = {name: own[name] - control[name] + scale * (first[name] - trained[name]) for name in own}
        context.state["control"] = learning.record_of(new)
        change = {name: new[name] - own[name] for name in new}
        answer = {"model": learning.record_of(trained), "control": learning.record_of(change)}
        return learning.reply(message, answer, MetricRecord({"num-examples": len(y)}))

    return app


def server(grid: Grid, setting: Setting) -> Result:
    """Average the models, and add the mean change to the control variate; half of the nodes answer in each round."""
    model = learning.model_of(digits.record_of(learning.mlp(setting.seed)))
    control = {name: 0 * array for name, array in model.items()}
    nodes, metrics = list(grid.get_node_ids()), []
    for number in range(1, setting.rounds + 1):
        down = {"model": learning.record_of(model), "control": learning.record_of(control)}
        replies = learning.ask(grid, random.sample(nodes, len(nodes) // 2), down, number)
        model = learning.mean_of(replies, "model")
        changes = [learning.model_of(content.array_records["control"]) for content in replies]
        control = {name: control[name] + sum(change[name] for change in changes) / len(nodes) for name in control}
        control = {name: array.astype(np.float32) for name, array in control.items()}
        metrics.append(learning.accuracy(learning.mlp, learning.record_of(model)))
    return Result(metrics, model)


APP = App(
    name="scaffold",
    title="SCAFFOLD: control variates",
    metric="accuracy, %",
    client=client,
    server=server,
    exact=("* */control",),
    rounds=20,
)
