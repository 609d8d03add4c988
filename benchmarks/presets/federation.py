"""One federation: FedAvg with four nodes, in this process, plain or over a preset of `DomGrid`."""

import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg
from torch import Tensor, nn

from fedretina.flower import DomGrid, DomMod
from fedretina.ledger import Row
from fedretina.testing import LocalGrid

NODES = 4
Found = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Federation:
    """What is trained, and how it is judged.

    Attributes
    ----------
    title, metric : str
        Names on the page.
    sign : {1, -1}
        1 if a higher metric is better, else -1.
    rounds : int
        Rounds of FedAvg.
    start : callable
        Takes a seed, and returns the model that training starts from.
    train : callable
        Takes a model, the node's number, the round and the seed; trains the model, and returns the number of examples.
    measure : callable
        Returns the metric of a model.
    state : callable
        Returns the tensors of a model that travel; by default all.
    """

    title: str
    metric: str
    sign: int
    rounds: int
    start: Callable[[int], nn.Module]
    train: Callable[[nn.Module, int, int, int], int]
    measure: Callable[[nn.Module], float]
    state: Callable[[nn.Module], Mapping[str, Tensor]] = nn.Module.state_dict


def run(federation: Federation, preset: str | None, seed: int) -> Found:
    """Train plain (`preset` is None) or over a preset; return the metric after each round, and the bytes."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    model, scores = federation.start(seed), list[float]()

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        scores.append(federation.measure(_load(federation, model, arrays)))
        return MetricRecord({})

    with tempfile.TemporaryDirectory() as folder:
        strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=NODES, min_available_nodes=NODES)
        local = LocalGrid(_client_app(federation, model, seed, Path(folder)), NODES)
        grid = _grid(local, preset, strategy, Path(folder))
        first = _record(federation, federation.start(seed))
        strategy.start(grid, first, num_rounds=federation.rounds, evaluate_fn=evaluate)
    weights = sum(values.numel() for values in federation.state(model).values())
    return {"scores": scores, "weights": weights, **_bytes(grid.ledger.rows)}


def _grid(local: LocalGrid, preset: str | None, strategy: FedAvg, folder: Path) -> DomGrid:
    if preset is None:
        return DomGrid(local, None, store=folder)
    return DomGrid(local, preset=preset, feedback_down=strategy, store=folder)


def _client_app(federation: Federation, model: nn.Module, seed: int, folder: Path) -> ClientApp:
    app = ClientApp(mods=[DomMod(folder)])

    @app.train()
    def train(message: Message, context: Context) -> Message:
        _load(federation, model, message.content.array_records["arrays"])
        number = int(message.content.config_records["config"]["server-round"])
        examples = federation.train(model, int(context.node_config["partition-id"]), number, seed)
        content = {"arrays": _record(federation, model), "metrics": MetricRecord({"num-examples": examples})}
        return Message(RecordDict(content), reply_to=message)

    return app


def _record(federation: Federation, model: nn.Module) -> ArrayRecord:
    return ArrayRecord({name: Array(values.detach().numpy()) for name, values in federation.state(model).items()})


def _load(federation: Federation, model: nn.Module, record: ArrayRecord) -> nn.Module:
    """Set a model's tensors; means of counters are rounded, as DoM does it: torch would truncate them."""
    own = federation.state(model)
    state = {name: torch.from_numpy(array.numpy().copy()) for name, array in record.items()}
    model.load_state_dict({n: v if own[n].is_floating_point() else v.round() for n, v in state.items()}, strict=False)
    return model


def _bytes(rows: list[Row]) -> Found:
    """Sum the bytes: all of plain Flower's and of those sent, and those of the later rounds, by direction."""
    sums = {"raw_bytes": sum(row.raw_bytes for row in rows), "wire_bytes": sum(row.wire_bytes for row in rows)}
    later = [row for row in rows if row.round > 1]
    for direction in ("down", "up"):
        chosen = [row for row in later if row.direction == direction]
        sums[f"later_{direction}"] = sum(row.wire_bytes for row in chosen)
        sums[f"later_{direction}_messages"] = len(chosen)
    return sums
