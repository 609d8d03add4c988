"""A federation in this process whose training is arithmetic: equal with and without DoM, round by round."""

from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedretina.flower import DomMod

SHAPES = {"w": (32, 64), "b": (32,), "bn.running_mean": (32,), "bn.num_batches_tracked": ()}


def start(*, counters=False):
    """Give the first model; with counters an integer tensor is in it, as BatchNorm has one."""
    rng = np.random.default_rng(0)
    model = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items() if shape}
    return model | ({"bn.num_batches_tracked": np.array(0, np.int64)} if counters else {})


def record_of(model):
    return ArrayRecord({name: Array(value) for name, value in model.items()})


def model_of(record):
    return {name: array.numpy() for name, array in record.items()}


def per_node(folder: Path):
    """Give a mod with a store per node, as if each were a machine of its own."""
    return lambda message, context, call_next: DomMod(folder / str(context.node_id))(message, context, call_next)


def app(*mods, train=()):
    """Give an app that moves each model towards a place of the node's own; `train`: mods for training only."""
    client = ClientApp(mods=list(mods))

    @client.train(mods=list(train))
    def move(message, context):
        place = int(context.node_config["partition-id"])
        (name,) = message.content.array_records
        model = model_of(message.content.array_records[name])
        new = {key: _trained(key, value, place) for key, value in model.items()}
        metrics = MetricRecord({"num-examples": 10 + place, "train_loss": 1.0 + place})
        return Message(RecordDict({name: record_of(new), "metrics": metrics}), reply_to=message)

    @client.evaluate()
    def evaluate(message, context):
        model = model_of(next(iter(message.content.array_records.values())))
        metrics = MetricRecord({"num-examples": 1, "loss": float(np.abs(model["w"]).mean())})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return client


def _trained(key, value, place):
    if value.dtype.kind != "f" or key.endswith("tracked"):
        return np.asarray(value + np.array(7, value.dtype))
    goal = np.random.default_rng((place, len(key))).normal(size=value.shape)
    return (value + 0.02 * (goal - value)).astype(value.dtype)


def ask(model, node=100, number=1, kind="train", **config):
    """Make a message as a loop of one's own would."""
    config = ConfigRecord({"server-round": number, **config})
    content = RecordDict({"arrays": model if isinstance(model, ArrayRecord) else record_of(model), "config": config})
    return Message(content, dst_node_id=node, message_type=kind)
