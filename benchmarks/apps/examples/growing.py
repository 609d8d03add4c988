"""A model that grows: layers are added in rounds 3 and 6, and nodes build what the record names."""

import random
from collections.abc import Sequence

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from torch import Tensor, nn

import digits_task as digits
from apps import learning
from apps.app import App, Mod, Result, Setting

WIDTH = 64


class Tower(nn.Module):
    """Layers of equal width between the first and the last."""

    def __init__(self, hidden: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.last = nn.Linear(64, WIDTH), nn.Linear(WIDTH, 10)
        self.hidden = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Give the digits' logits."""
        x = self.first(x).relu()
        for layer in self.hidden:
            x = x + layer(x).relu()
        output: Tensor = self.last(x)
        return output


def tower_of(record: ArrayRecord) -> nn.Module:
    """Build the network that a record names."""
    return digits.load(Tower(sum(name.endswith("weight") for name in record) - 2, 0), record)


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp."""
    app = ClientApp(mods=list(mods))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        data = learning.digits_of(context, setting)
        number = setting.seed + int(message.content.config_records["config"]["server-round"])
        model = tower_of(message.content.array_records["arrays"])
        digits.train(model, data, epochs=1, batch=16, lr=0.02, seed=number)
        metrics = MetricRecord({"num-examples": len(data[1])})
        return learning.reply(message, {"arrays": digits.record_of(model)}, metrics)

    return app


def server(grid: Grid, setting: Setting) -> Result:
    """Average, and add a layer before rounds 3 and 6; half of the nodes answer in each round."""
    model, metrics = learning.model_of(digits.record_of(Tower(0, setting.seed))), []
    nodes = list(grid.get_node_ids())
    for number in range(1, setting.rounds + 1):
        if number in (3, 6):
            model = learning.model_of(digits.record_of(Tower(number // 3, setting.seed + number))) | model
        replies = learning.ask(grid, random.sample(nodes, len(nodes) // 2), {"arrays": learning.record_of(model)}, number)
        model = learning.mean_of(replies, "arrays")
        tested = digits.measure(tower_of(learning.record_of(model)), digits.tested())
        metrics.append(tested["accuracy"])
    return Result(metrics, model)


APP = App(name="growing", title="A model that grows", metric="accuracy, %", client=client, server=server)
