"""A node that answers at once with noise on the model, as large as the change of one round of training."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedretina.flower import dom_mod

app = ClientApp(mods=[dom_mod])


@app.train()
def train(message: Message, context: Context) -> Message:
    """Add noise to each weight."""
    rng = np.random.default_rng(int(context.node_config["partition-id"]))
    changed = ArrayRecord()
    for name, array in message.content.array_records["arrays"].items():
        value = array.numpy()
        noise = rng.standard_normal(value.shape, np.float32)
        changed[name] = Array(value + np.float32(1e-3) * noise)
    metrics = MetricRecord({"num-examples": 1})
    return Message(RecordDict({"arrays": changed, "metrics": metrics}), reply_to=message)


@app.train("step")
def step(message: Message, context: Context) -> Message:
    """Receive pushed arrays, and reply with their number of values."""
    sizes = [array.numpy().size for array in message.content.array_records["gradients"].values()]
    return Message(RecordDict({"metrics": MetricRecord({"values": sum(sizes)})}), reply_to=message)
