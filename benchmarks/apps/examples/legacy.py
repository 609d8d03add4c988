"""Flower's legacy interface: a NumPyClient and a legacy strategy under `DefaultWorkflow`; also with SecAgg+."""

from collections.abc import Sequence

import torch
from flwr.app import Context, RecordDict
from flwr.client import NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.common import ndarrays_to_parameters
from flwr.server import LegacyContext, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow
from flwr.serverapp import Grid
from torch import nn

import digits_task as digits
from apps import learning
from apps.app import App, Array, Mod, Result, Setting
from apps.learning import Data

SECURE_NODES = 4
Scalars = dict[str, float]


def loaded(arrays: Sequence[Array]) -> nn.Module:
    """Make a network of a list of arrays."""
    model = learning.mlp(0)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in zip(model.state_dict(), arrays, strict=True)})
    return model


def arrays_of(model: nn.Module) -> list[Array]:
    """List a network's arrays."""
    return [tensor.detach().numpy() for tensor in model.state_dict().values()]


class Client(NumPyClient):
    """Trains and evaluates."""

    def __init__(self, data: Data, seed: int) -> None:
        self.data, self.seed = data, seed

    def fit(self, parameters: list[Array], config: Scalars) -> tuple[list[Array], int, Scalars]:
        """Train for an epoch."""
        model = loaded(parameters)
        digits.train(model, self.data, epochs=1, batch=16, lr=0.05, seed=self.seed + int(config["round"]))
        return arrays_of(model), len(self.data[1]), {}

    def evaluate(self, parameters: list[Array], config: Scalars) -> tuple[float, int, Scalars]:
        """Measure."""
        scores = digits.measure(loaded(parameters), self.data)
        return scores["loss"], len(self.data[1]), {"accuracy": scores["accuracy"]}


def client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp."""

    def client_fn(context: Context) -> object:
        return Client(learning.digits_of(context, setting), setting.seed).to_client()

    return ClientApp(client_fn, mods=list(mods))


def secure_client(mods: Sequence[Mod], setting: Setting) -> ClientApp:
    """Make the ClientApp with Flower's mod for SecAgg+ after the given ones."""
    return client([*mods, secaggplus_mod], setting)


def server(grid: Grid, setting: Setting, secure: SecAggPlusWorkflow | None = None, fraction: float = 0.5) -> Result:
    """Run the workflow, with the server's own evaluation."""
    scores: list[float] = []

    def evaluate(number: int, arrays: list[Array], config: Scalars) -> tuple[float, Scalars]:
        found = digits.measure(loaded(arrays), digits.tested())
        scores.append(found["accuracy"])
        return found["loss"], {}

    strategy = FedAvg(
        fraction_fit=fraction,
        fraction_evaluate=fraction,
        min_available_clients=setting.nodes,
        on_fit_config_fn=lambda number: {"round": number},
        evaluate_fn=evaluate,
        evaluate_metrics_aggregation_fn=lambda metrics: {},
        initial_parameters=ndarrays_to_parameters(arrays_of(learning.mlp(setting.seed))),
    )
    context = LegacyContext(Context(1, 1, {}, RecordDict(), {}), ServerConfig(num_rounds=setting.rounds), strategy)
    DefaultWorkflow(fit_workflow=secure)(grid, context)
    (record,) = context.state.array_records.values()
    return Result(scores[1:], learning.model_of(record))


def secure_server(grid: Grid, setting: Setting) -> Result:
    """Run the workflow under SecAgg+: every node takes part."""
    return server(grid, setting, SecAggPlusWorkflow(SECURE_NODES, 3, clipping_range=8.0), 1.0)


APP = App(name="legacy", title="NumPyClient and legacy FedAvg", metric="accuracy, %", client=client, server=server, nodes=8)
SECURE = App(
    name="secagg",
    title="SecAgg+ under the legacy workflow",
    metric="accuracy, %",
    client=secure_client,
    server=secure_server,
    nodes=SECURE_NODES,
    rounds=6,
    quick_rounds=2,
)
