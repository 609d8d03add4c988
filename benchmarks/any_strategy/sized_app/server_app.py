"""FedAvg over a model of any size; writes how long each round took, and what was sent."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from fedretina.dom import DomConfig
from fedretina.flower import DomGrid
from fedretina.ledger import totals

app = ServerApp()
TENSOR = 2_500_000  # float32 values: 10 MB


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run."""
    config = context.run_config
    codec = str(config["codec"])
    coded = DomConfig(effort=config["effort"]) if codec == "dom" else None  # type: ignore[arg-type]
    wire = grid if codec == "plain" else DomGrid(grid, coded)
    ends: list[float] = []

    def tick(number: int, arrays: ArrayRecord) -> MetricRecord | None:
        ends.append(time.monotonic())
        return None

    strategy = FedAvg(fraction_evaluate=0.0)
    strategy.start(wire, model(float(config["megabytes"])), num_rounds=int(config["rounds"]), evaluate_fn=tick)
    told = {"seconds": np.diff(ends).tolist()}
    if isinstance(wire, DomGrid):
        sums = totals(wire.ledger.rows)
        told |= {"raw": sums.raw, "wire": sums.wire, "errors": sum(bool(row.error) for row in wire.ledger.rows)}
        told |= {"wire_up": sums.wire_up, "wire_down": sums.wire_down}
    Path(str(config["out"])).write_text(json.dumps(told))


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
