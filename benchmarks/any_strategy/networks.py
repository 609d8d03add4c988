"""Train each kind of network over DoM and under plain Flower, round by round: FedAvg, four nodes, in this process."""

import logging
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from any_strategy.network_data import Data, split_by_dirichlet
from any_strategy.network_models import NETWORKS, Network, start, train
from any_strategy.tables import Found
from fedretina.dom import DomConfig
from fedretina.flower import DomGrid, DomMod
from fedretina.ledger import totals
from fedretina.study import Results
from fedretina.testing import LocalGrid

NODES, ROUNDS, SKEW = 4, 12, 2.0
LOSSLESS_SEEDS = 2  # a few runs show equal accuracies; bytes hardly vary
CODECS: dict[str, DomConfig | None] = {"plain": None, "dom": DomConfig(), "lossless": DomConfig(lossless=True)}


class RunningVariances:
    """Counts the running variances that arrive at the nodes and at the server."""

    def __init__(self) -> None:
        self.count, self.negative, self.least = 0, 0, float("inf")

    def count_in(self, record: ArrayRecord) -> None:
        """Count the running variances of a received model."""
        for name, array in record.items():
            if name.endswith("running_var"):
                values = array.numpy()
                self.count += values.size
                self.negative += int((values < 0).sum())
                self.least = min(self.least, float(values.min()))

    def summary(self) -> Found:
        """Return the number of values, the number below 0, and the smallest."""
        return {"count": self.count, "negative": self.negative, "least": self.least if self.count else None}


class WatchedFedAvg(FedAvg):
    """FedAvg that counts the running variances in the replies."""

    def __init__(self, variances: RunningVariances) -> None:
        super().__init__(fraction_evaluate=0.0, min_train_nodes=NODES, min_available_nodes=NODES)
        self.variances = variances

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> tuple[Any, Any]:
        """Count the running variances, then average the replies."""
        replies = list(replies)
        for reply in replies:
            self.variances.count_in(reply.content.array_records["arrays"])
        return super().aggregate_train(server_round, replies)


def record_of(model: torch.nn.Module) -> ArrayRecord:
    """Make a record of a model's state."""
    return ArrayRecord({name: Array(tensor.detach().numpy()) for name, tensor in model.state_dict().items()})


def load(model: torch.nn.Module, record: ArrayRecord) -> torch.nn.Module:
    """Set a model's state from a record; means of counters are rounded, as in DoM; torch would truncate them."""
    state = {name: torch.from_numpy(array.numpy().copy()) for name, array in record.items()}
    counters = {name for name, value in model.state_dict().items() if not value.is_floating_point()}
    model.load_state_dict({name: value.round() if name in counters else value for name, value in state.items()})
    return model


@torch.no_grad()
def accuracy(model: torch.nn.Module, data: Data) -> float:
    """Return the accuracy on the test examples, in percent."""
    model.eval()
    return 100 * float((model(data.test_x).argmax(1) == data.test_y).float().mean())


def client_app(name: str, seed: int, folder: Path, variances: RunningVariances) -> ClientApp:
    """Make the app of a node that trains the network on its share of the data."""
    network: Network = NETWORKS[name]
    data = network.load()
    shares = split_by_dirichlet(data.y, NODES, skew=SKEW, seed=seed)
    model = start(name, seed)
    app = ClientApp(mods=[DomMod(folder)])

    @app.train()
    def train_share(message: Message, context: Context) -> Message:
        number = int(message.content.config_records["config"]["server-round"])
        partition = int(context.node_config["partition-id"])
        variances.count_in(message.content.array_records["arrays"])
        load(model, message.content.array_records["arrays"])
        rows = shares[partition]
        batches = (seed * 1000 + number) * NODES + partition
        loss = train(model, data.x[rows], data.y[rows], network, epochs=network.epochs, seed=batches)
        metrics = MetricRecord({"num-examples": len(rows), "loss": loss})
        return Message(RecordDict({"arrays": record_of(model), "metrics": metrics}), reply_to=message)

    return app


def run(name: str, config: DomConfig | None, seed: int, rounds: int = ROUNDS) -> Found:
    """Train a network, and return its accuracy after each round, bytes, and running variances."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    start_time = time.perf_counter()
    variances, data, model = RunningVariances(), NETWORKS[name].load(), start(name, seed)
    scores: list[float] = []

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        if number:
            scores.append(accuracy(load(model, arrays), data))
        return MetricRecord({})

    with tempfile.TemporaryDirectory() as folder:
        app = client_app(name, seed, Path(folder), variances)
        grid = DomGrid(LocalGrid(app, NODES), config, store=Path(folder))
        WatchedFedAvg(variances).start(grid, record_of(model), num_rounds=rounds, evaluate_fn=evaluate)
    sums = totals(grid.ledger.rows)
    return {
        "accuracy": scores,
        "raw_bytes": sums.raw,
        "wire_bytes": sums.wire,
        "running_variances": variances.summary(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": time.perf_counter() - start_time,
    }


def seeds_of(name: str, seeds: Sequence[int]) -> list[int]:
    """Return the seeds of a network's runs: several for each one asked for, where training is chaotic."""
    repeats = NETWORKS[name].repeats
    return [seed + 1000 * number for seed in seeds for number in range(repeats)]


def measure(seeds: Sequence[int], folder: Path, *, rounds: int = ROUNDS, names: Sequence[str] = tuple(NETWORKS)) -> Found:
    """Run every network with every codec, "lossless" on the first seeds only; each run is stored in its own file."""
    networks: Found = {name: {} for name in names}
    for codec in CODECS:
        chosen = seeds[:LOSSLESS_SEEDS] if codec == "lossless" else seeds
        for name in names:
            networks[name][codec] = [_stored_run(folder, name, codec, seed, rounds) for seed in seeds_of(name, chosen)]
    return {"seeds": list(seeds), "rounds": rounds, "networks": networks}


def _stored_run(folder: Path, name: str, codec: str, seed: int, rounds: int) -> Found:
    def measured() -> Found:
        one = run(name, CODECS[codec], seed, rounds)
        print(f"{name} {codec} seed {seed}: {one['accuracy'][-1]:.1f} %, {one['seconds']:.1f} s", flush=True)
        return one

    found: Found = Results(folder).measured(f"network-{name}-{codec}-{seed}-{rounds}", measured)
    return found
