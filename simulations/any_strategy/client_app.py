"""A node of digits under any strategy: it trains and evaluates. ``mods=[dom_mod]`` turns DoM on."""

from collections.abc import Callable

import torch
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.mod import fixedclipping_mod

import digits_task as digits
from fedretina.flower import dom_mod

torch.set_num_threads(1)
app = ClientApp(mods=[dom_mod])


def clip_if_asked(message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
    """Clip the update if a strategy for differential privacy asks for it."""
    config = next(iter(message.content.config_records.values()))
    asked = any(key.endswith("clipping_norm") for key in config)
    return fixedclipping_mod(message, context, call_next) if asked else call_next(message, context)


def data_of(context: Context) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the node's images and labels."""
    index, nodes = digits.part_of(context.node_config)
    config = context.run_config
    return digits.of_node(index, nodes, skew=float(config["skew"]), seed=int(config["seed"]))


@app.train(mods=[clip_if_asked])
def train(message: Message, context: Context) -> Message:
    """Train from the received model."""
    config, asked = context.run_config, message.content.config_records["config"]
    data = data_of(context)
    model = digits.load(digits.network(0), message.content.array_records["arrays"])
    loss = digits.train(
        model,
        data,
        epochs=int(config["local-epochs"]),
        batch=int(config["batch-size"]),
        lr=float(config["lr"]),
        seed=int(config["seed"]) + int(asked["server-round"]),
        proximal=float(asked.get("proximal-mu", 0.0)),
    )
    metrics = MetricRecord({"num-examples": len(data[1]), "train_loss": loss})
    return Message(RecordDict({"arrays": digits.record_of(model), "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Measure the received model on the node's own images."""
    data = data_of(context)
    model = digits.load(digits.network(0), message.content.array_records["arrays"])
    metrics = MetricRecord({"num-examples": len(data[1]), **digits.measure(model, data)})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
