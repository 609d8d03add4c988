"""FedAvg over a model of any size; it writes the seconds of each round, and the bytes that were sent."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from fedretina.dom import DomConfig
from fedretina.flower import DomGrid
from fedretina.ledger import totals

app = ServerApp()
TENSOR = 2_500_000  # float32 values: 10 MB
SETTLE_S = 45  # until the nodes have fetched what was pushed: each starts a process per message


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run."""
    config = context.run_config
    codec = str(config["codec"])
    coded = DomConfig(effort=config["effort"]) if codec == "dom" else None  # type: ignore[arg-type]
    wire = grid if codec == "plain" else DomGrid(grid, coded)
    ends: list[float] = []
    first = model(float(config["megabytes"]))

    def save_time(number: int, arrays: ArrayRecord) -> MetricRecord | None:
        ends.append(time.monotonic())
        return None

    if config["pull"]:
        FedAvg(fraction_evaluate=0.0).start(wire, first, num_rounds=int(config["rounds"]), evaluate_fn=save_time)
    else:
        push_only(wire, first, int(config["rounds"]))
    summary = {"seconds": np.diff(ends).tolist()}
    if isinstance(wire, DomGrid):
        sums = totals(wire.ledger.rows)
        summary |= {"raw": sums.raw, "wire": sums.wire, "errors": sum(bool(row.error) for row in wire.ledger.rows)}
        summary |= {"wire_up": sums.wire_up, "wire_down": sums.wire_down}
    Path(str(config["out"])).write_text(json.dumps(summary))


def push_only(grid: Grid, arrays: ArrayRecord, rounds: int) -> None:
    """Push other data to each node, as vertical federated learning pushes gradients, and pull no reply."""
    for number in range(1, rounds + 1):
        messages = []
        for node in grid.get_node_ids():
            own = ArrayRecord({name: Array(np.roll(array.numpy(), node % 97 + number)) for name, array in arrays.items()})
            content = RecordDict({"gradients": own})
            messages.append(Message(content, dst_node_id=node, message_type="train.step", group_id=str(number)))
        grid.push_messages(messages)
    time.sleep(SETTLE_S)


def model(megabytes: float) -> ArrayRecord:
    """Make the first model."""
    rng, left = np.random.default_rng(0), round(megabytes * 250_000)
    record = ArrayRecord()
    while left:
        size = min(left, TENSOR)
        value = np.float32(0.05) * rng.standard_normal((size // 500 or 1, min(size, 500)), np.float32)
        record[f"layer{len(record):03d}.weight"] = Array(value)
        left -= size
    return record
