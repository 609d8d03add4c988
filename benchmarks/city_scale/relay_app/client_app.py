"""A node that adds noise to a peer's model at once, as large as the change of a short training, and publishes it."""

import time
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedretina.dom import DomConfig, ReferenceStore
from fedretina.flower import RelayedModels

app = ClientApp()
TENSOR = 2_500_000  # float32 values: 10 MB
STORE_BYTES = 2**36


@app.train()
def train(message: Message, context: Context) -> Message:
    """Answer with a changed model, and the processor time that it took."""
    began = time.process_time()
    config = message.content.config_records["config"]
    name, number = str(config["name"]), int(str(config["round"]))
    store = ReferenceStore(Path(str(config["references"])), max_bytes=STORE_BYTES)
    relayed = RelayedModels(store, DomConfig(effort="fast"))
    plain = config["codec"] == "plain"
    if plain:
        peers = {key: {k: a.numpy() for k, a in rec.items()} for key, rec in message.content.array_records.items()}
    else:
        peers = {key: dict(model) for key, model in relayed.receive(message.content).items()}
    rng = np.random.default_rng([int(str(context.node_config["partition-id"])), number])
    start = next(iter(peers.values())) if peers else first_model(float(str(config["megabytes"])))
    changed = {k: v + np.float32(1e-3) * rng.standard_normal(v.shape, np.float32) for k, v in start.items()}
    if plain:
        reply = RecordDict({name: ArrayRecord({k: Array(v) for k, v in changed.items()})})
    else:
        reply = relayed.publish(name, changed, message.content)
    reply["cost"] = MetricRecord({"cpu_s": time.process_time() - began})
    return Message(reply, reply_to=message)


def first_model(megabytes: float) -> dict[str, np.ndarray]:
    """Make the model from which all nodes start."""
    rng, left, model = np.random.default_rng(0), round(megabytes * 250_000), dict[str, np.ndarray]()
    while left > 0:
        size = min(left, TENSOR)
        model[f"layer{len(model):03d}.weight"] = np.float32(0.05) * rng.standard_normal(
            (max(1, size // 500), 500), np.float32
        )
        left -= size
    return model
