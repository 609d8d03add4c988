"""A small model and an app whose training is arithmetic: equal inputs give equal bits, on any machine."""

from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import Mod
from numpy.typing import NDArray

Model = dict[str, NDArray[Any]]

SHAPES: dict[str, tuple[int, ...]] = {"w": (32, 64), "b": (32,), "bn.running_mean": (32,)}


def toy_model(*, counters: bool = False) -> Model:
    """Return the first model: float32 tensors drawn from seed 0.

    Parameters
    ----------
    counters : bool, default False
        Whether it also has an integer tensor, as BatchNorm's ``num_batches_tracked``.

    Examples
    --------
    >>> {name: array.shape for name, array in toy_model(counters=True).items()}
    {'w': (32, 64), 'b': (32,), 'bn.running_mean': (32,), 'bn.num_batches_tracked': ()}
    """
    rng = np.random.default_rng(0)
    model: Model = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    if counters:
        model["bn.num_batches_tracked"] = np.array(0, np.int64)
    return model


def to_record(model: Model) -> ArrayRecord:
    """Return an ArrayRecord of a model."""
    return ArrayRecord({name: Array(value) for name, value in model.items()})


def to_model(record: ArrayRecord) -> Model:
    """Return the arrays of an ArrayRecord, by name."""
    return {name: array.numpy() for name, array in record.items()}


def toy_app(*mods: Mod, train_mods: tuple[Mod, ...] = ()) -> ClientApp:
    """Return an app for messages that have one model each.

    Training moves every float tensor 2 % of the way to a point of the node's own, and adds 7 to counters. The reply has the
    record "metrics" with "num-examples" (10 and more) and "train_loss". Evaluation returns the mean of ``abs(w)`` as "loss".

    Parameters
    ----------
    *mods : Mod
        Mods of the app, the first one outermost.
    train_mods : tuple of Mod, default ()
        Further mods, for training only.

    Examples
    --------
    >>> from fedretina.testing import LocalGrid
    >>> grid = LocalGrid(toy_app(), 2)
    >>> content = RecordDict({"arrays": to_record(toy_model())})
    >>> replies = grid.send_and_receive([grid.create_message(content, "train", node, "1") for node in (100, 101)])
    >>> [reply.content["metrics"]["num-examples"] for reply in replies]
    [10, 11]
    """
    app = ClientApp(mods=list(mods))

    @app.train(mods=list(train_mods))
    def train(message: Message, context: Context) -> Message:
        number = int(context.node_config["partition-id"])
        ((name, record),) = message.content.array_records.items()
        trained = {key: _train_tensor(key, value, number) for key, value in to_model(record).items()}
        metrics = MetricRecord({"num-examples": 10 + number, "train_loss": 1.0 + number})
        return Message(RecordDict({name: to_record(trained), "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        ((_, record),) = message.content.array_records.items()
        metrics = MetricRecord({"num-examples": 1, "loss": float(np.abs(record["w"].numpy()).mean())})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def _train_tensor(name: str, value: NDArray[Any], node: int) -> NDArray[Any]:
    if value.dtype.kind != "f" or name.endswith("tracked"):
        return np.asarray(value + np.array(7, value.dtype))
    goal = np.random.default_rng((node, len(name))).normal(size=value.shape)
    moved: NDArray[Any] = (value + 0.02 * (goal - value)).astype(value.dtype)
    return moved
