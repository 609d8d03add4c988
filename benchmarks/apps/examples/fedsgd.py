"""FedSGD: replies hold gradients under the model's own names, shapes and dtypes; the server makes the step."""

from collections.abc import Iterable, Sequence

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from torch import nn

import digits_task as digits
from apps import learning
from apps.app import App, Mod, Result, Setting
from apps.learning import Model


class FedSGD(FedAvg):
    """Takes the mean of the replies for a gradient; heavy-ball momentum on the server."""

    lr, momentum = 0.1, 0.9

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """Remember the model."""
        self.model = learning.model_of(arrays)
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Make a step along the mean gradient."""
        mean, metrics = super().aggregate_train(server_round, replies)
        if mean is None:
            return None, metrics
        gradient = learning.model_of(mean)
        if server_round == 1:
            self.velocity: Model = {name: 0 * array for name, array in gradient.items()}
        self.velocity = {name: self.momentum * self.velocity[name] + gradient[name] for name in gradient}
        return learning.record_of({name: self.model[name] - self.lr * self.velocity[name] for name in self.model}), metrics


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp: one gradient over all of a node's images."""
    app = ClientApp(mods=list(mods))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        x, y = learning.digits_of(context, setting)
        model = digits.load(learning.mlp(0), message.content.array_records["arrays"])
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        gradients = {name: Array(parameter.grad.numpy()) for name, parameter in model.named_parameters()}
        metrics = MetricRecord({"num-examples": len(y), "train_loss": float(loss.detach())})
        return learning.reply(message, {"arrays": ArrayRecord(gradients)}, metrics)

    return app


def server(grid: Grid, setting: Setting) -> Result:
    """Run the strategy."""
    scores = []

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        scores.append(learning.accuracy(learning.mlp, arrays))
        return MetricRecord({"accuracy": scores[-1]})

    strategy = FedSGD(fraction_evaluate=0.0, min_available_nodes=setting.nodes)
    first = digits.record_of(learning.mlp(setting.seed))
    result = strategy.start(grid, first, num_rounds=setting.rounds, evaluate_fn=evaluate)
    return Result(scores[1:], learning.model_of(result.arrays))


APP = App(
    name="fedsgd",
    title="FedSGD: gradients in replies",
    metric="accuracy, %",
    client=client,
    server=server,
    exact=("up train/arrays",),
    rounds=40,
    quick_rounds=10,
)
