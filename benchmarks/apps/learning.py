"""Functions that several apps share: a node's data, models as records, a client that trains and evaluates."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from sklearn import datasets
from torch import Tensor, nn

import digits_task as digits
from apps.app import Array as NumpyArray
from apps.app import Mod, Setting

Data = tuple[Tensor, Tensor]
Network = Callable[[int], nn.Module]
Model = dict[str, NumpyArray]
LR = 0.05


def place_of(context: Context) -> int:
    """Tell which part of the data a node has."""
    return int(context.node_config["partition-id"])


def digits_of(context: Context, setting: Setting, skew: float = 1.0) -> Data:
    """Give a node's images of digits."""
    return digits.of_node(place_of(context), setting.nodes, skew=skew, seed=setting.seed)


@cache
def table(name: str) -> tuple[Data, Data]:
    """Give a table of scikit-learn's, shuffled, in its own units: rows for training and a third for tests."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    inputs, labels = torch.tensor(x[order], dtype=torch.float32), torch.tensor(y[order])
    tested = len(y) // 3
    return (inputs[tested:], labels[tested:]), (inputs[:tested], labels[:tested])


def rows_of(name: str, context: Context, setting: Setting) -> Data:
    """Give a node's rows of a table, distributed in turn after a shuffle by the seed."""
    x, y = table(name)[0]
    order = np.random.default_rng(setting.seed).permutation(len(y))[place_of(context) :: setting.nodes]
    return x[order], y[order]


def mlp(seed: int) -> nn.Module:
    """Make a network for digits of 8,970 parameters."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 24), nn.ReLU(), nn.Linear(24, 10))


def accuracy(network: Network, record: ArrayRecord, data: Data | None = None) -> float:
    """Measure a record's model in percent, on the digits that nobody trains on or other data."""
    model = digits.load(network(0), record).eval()
    return digits.measure(model, data or digits.tested())["accuracy"]


def client(mods: Sequence[Mod], network: Network, data: Callable[[Context], Data], seed: int) -> ClientApp:
    """Make the usual ClientApp: trains the model in "arrays", and evaluates it."""
    app = ClientApp(mods=list(mods))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        config = message.content.config_records["config"]
        model = digits.load(network(0), message.content.array_records["arrays"]).train()
        own, number = data(context), int(config["server-round"])
        loss = digits.train(model, own, epochs=2, batch=16, lr=float(config.get("lr", LR)), seed=seed + number)
        metrics = MetricRecord({"num-examples": len(own[1]), "train_loss": loss})
        return reply(message, {"arrays": digits.record_of(model)}, metrics)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        own = data(context)
        model = digits.load(network(0), message.content.array_records["arrays"]).eval()
        return reply(message, {}, MetricRecord({"num-examples": len(own[1]), **digits.measure(model, own)}))

    return app


def reply(message: Message, records: dict[str, ArrayRecord], metrics: MetricRecord) -> Message:
    """Answer with array records and metrics."""
    return Message(RecordDict({**records, "metrics": metrics}), reply_to=message)


def ask(
    grid: Grid, nodes: Iterable[int], records: dict[str, ArrayRecord], number: int, kind: str = "train"
) -> list[RecordDict]:
    """Send the same records to some nodes and wait for the replies: the core of a loop of one's own."""
    content = RecordDict({**records, "config": ConfigRecord({"server-round": number})})
    messages = [Message(content, dst_node_id=node, message_type=kind, group_id=str(number)) for node in nodes]
    replies = grid.send_and_receive(messages)
    return [answer.content for answer in replies if answer.has_content()]


def model_of(record: ArrayRecord) -> Model:
    """Read a record."""
    return {name: array.numpy() for name, array in record.items()}


def record_of(model: Model) -> ArrayRecord:
    """Make a record."""
    return ArrayRecord({name: Array(np.array(array, order="C")) for name, array in model.items()})


def mean_of(replies: Sequence[RecordDict], name: str) -> Model:
    """Average the records of that name, weighted by the nodes' examples; dtypes stay."""
    models = [model_of(content.array_records[name]) for content in replies]
    weights = [float(content.metric_records["metrics"]["num-examples"]) for content in replies]
    return {
        key: np.average([model[key] for model in models], axis=0, weights=weights).astype(first.dtype)
        for key, first in models[0].items()
    }
