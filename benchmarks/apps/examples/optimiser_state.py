"""Adam's state goes along: replies and messages hold the model and, under the same names, both moments."""

import random
from collections.abc import Sequence

import torch
from flwr.app import Context, Message, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from torch import nn

import digits_task as digits
from apps import learning
from apps.app import App, Mod, Result, Setting
from apps.learning import Model

MOMENTS = ("exp_avg", "exp_avg_sq")


def optimiser_of(model: nn.Module, moments: dict[str, Model], step: int) -> torch.optim.Adam:
    """Make an Adam that goes on from the given moments."""
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    for name, parameter in model.named_parameters():
        state = {key: torch.from_numpy(moments[key][name].copy()) for key in MOMENTS}
        optimiser.state[parameter] = {"step": torch.tensor(float(step)), **state}
    return optimiser


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp."""
    app = ClientApp(mods=list(mods))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        records = message.content.array_records
        number = int(message.content.config_records["config"]["server-round"])
        x, y = learning.digits_of(context, setting)
        model = digits.load(learning.mlp(0), records["model"])
        optimiser = optimiser_of(model, {key: learning.model_of(records[key]) for key in MOMENTS}, 10 * (number - 1))
        generator = torch.Generator().manual_seed(setting.seed + number)
        for part in torch.randint(len(y), (10, 16), generator=generator):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[part]), y[part]).backward()
            optimiser.step()
        named = list(model.named_parameters())
        moments = {key: {name: optimiser.state[parameter][key].numpy() for name, parameter in named} for key in MOMENTS}
        answer = {"model": digits.record_of(model), **{key: learning.record_of(moments[key]) for key in MOMENTS}}
        return learning.reply(message, answer, MetricRecord({"num-examples": len(y)}))

    return app


def server(grid: Grid, setting: Setting) -> Result:
    """Average all three records; half of the nodes answer in each round."""
    first = learning.model_of(digits.record_of(learning.mlp(setting.seed)))
    records = {"model": first, **{key: {name: 0 * array for name, array in first.items()} for key in MOMENTS}}
    nodes, metrics = list(grid.get_node_ids()), []
    for number in range(1, setting.rounds + 1):
        down = {name: learning.record_of(model) for name, model in records.items()}
        replies = learning.ask(grid, random.sample(nodes, len(nodes) // 2), down, number)
        records = {name: learning.mean_of(replies, name) for name in records}
        metrics.append(learning.accuracy(learning.mlp, learning.record_of(records["model"])))
    return Result(metrics, records["model"])


APP = App(
    name="optimiser-state",
    title="Adam's state beside the model",
    metric="accuracy, %",
    client=client,
    server=server,
    exact=("* */exp_avg", "* */exp_avg_sq"),
    rounds=20,
)
