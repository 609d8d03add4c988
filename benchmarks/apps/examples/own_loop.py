"""A strategy with its own `start`, as in Flower's advanced-pytorch: the learning rate falls; the best model is used."""

from collections.abc import Callable, Iterable, Sequence

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from flwr.serverapp.strategy import Result as FlowerResult

import digits_task as digits
from apps import learning
from apps.app import App, Mod, Result, Setting


class BestModelFedAvg(FedAvg):
    """FedAvg whose loop evaluates on the server and keeps the best model."""

    best: tuple[float, ArrayRecord] | None = None

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """Halve the learning rate every five rounds."""
        if server_round % 5 == 0:
            config["lr"] = float(config["lr"]) / 2
        return super().configure_train(server_round, arrays, config, grid)

    def start(  # noqa: PLR0917 # as Flower's own
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
    ) -> FlowerResult:
        """Run all rounds; the result's arrays are the best ones."""
        train_config, evaluate_config = train_config or ConfigRecord(), evaluate_config or ConfigRecord()
        result, arrays = FlowerResult(), initial_arrays
        for number in range(1, num_rounds + 1):
            messages = self.configure_train(number, arrays, train_config, grid)
            merged, _ = self.aggregate_train(number, grid.send_and_receive(messages, timeout=timeout))
            arrays = merged or arrays
            messages = self.configure_evaluate(number, arrays, evaluate_config, grid)
            self.aggregate_evaluate(number, grid.send_and_receive(messages, timeout=timeout))
            score = evaluate_fn(number, arrays) if evaluate_fn else None
            if score is not None:
                result.evaluate_metrics_serverapp[number] = score
                self._keep(float(score["accuracy"]), arrays)
        result.arrays = self.best[1] if self.best else arrays
        return result

    def _keep(self, score: float, arrays: ArrayRecord) -> None:
        if self.best is None or score > self.best[0]:
            self.best = score, arrays


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp."""
    return learning.client(mods, learning.mlp, lambda context: learning.digits_of(context, setting), setting.seed)


def server(grid: Grid, setting: Setting) -> Result:
    """Run the strategy."""

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        return MetricRecord({"accuracy": learning.accuracy(learning.mlp, arrays)})

    strategy = BestModelFedAvg(fraction_train=0.5, min_available_nodes=setting.nodes)
    first, config = digits.record_of(learning.mlp(setting.seed)), ConfigRecord({"lr": learning.LR})
    result = strategy.start(grid, first, setting.rounds, train_config=config, evaluate_fn=evaluate)
    metrics = [float(score["accuracy"]) for score in result.evaluate_metrics_serverapp.values()]
    return Result(metrics, learning.model_of(result.arrays))


APP = App(
    name="own-loop", title="Strategy with a loop of its own", metric="accuracy, %", client=client, server=server, nodes=10
)
