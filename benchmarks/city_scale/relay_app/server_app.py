"""Each round, every node gets the newest model of the next node and publishes its own; the cost goes to a file."""

import json
import resource
import time
from pathlib import Path
from typing import Any

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from fedretina.flower import PayloadRelay, message_size
from fedretina.strategies.mutual_reuse import Dispatcher

app = ServerApp()


class PlainModels:
    """What a server must do without relays: keep the newest model of each node, and send it as it is."""

    def __init__(self) -> None:
        self.models: dict[str, Any] = {}

    def request(self, receiver: str, streams: list[str]) -> RecordDict:
        """Make the content of a message."""
        return RecordDict({stream: self.models[stream] for stream in streams})

    def receive(self, stream: str, reply: RecordDict) -> None:
        """Keep the model of a reply."""
        self.models[stream] = reply.array_records[stream]

    def acknowledge(self, receiver: str, request: RecordDict) -> None:
        """Do nothing: every message has whole models."""


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds, and write what each cost."""
    config, out = context.run_config, Path(str(context.run_config["out"]))
    models: PlainModels | PayloadRelay = PlainModels() if config["codec"] == "plain" else PayloadRelay()
    nodes = sorted(grid.get_node_ids())
    rows = []
    for number in range(1, int(config["rounds"]) + 1):
        rows.append(one_round(grid, models, nodes, number, config | {"references": str(out.parent / "references")}))
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        disk = sum(file.stat().st_size for file in out.parent.glob("references/*.ref"))
        out.write_text(json.dumps({"rounds": rows, "rss": peak, "disk": disk, "rounds_planned": config["rounds"]}))


def one_round(
    grid: Grid, models: "PlainModels | PayloadRelay", nodes: list[int], number: int, config: dict[str, Any]
) -> dict[str, float]:
    """Exchange a model with each node; return seconds, processor seconds of server and nodes, and bytes."""
    sender = Dispatcher(grid)
    wall, cpu = time.monotonic(), time.process_time()
    requests, down, up, node_cpu = {}, 0, 0, 0.0
    for index, node in enumerate(nodes):
        peers = [str(nodes[(index + 1) % len(nodes)])] if number > 1 else []
        requests[index] = content = models.request(str(node), peers)
        given = {key: config[key] for key in ("codec", "megabytes", "references")}
        content["config"] = ConfigRecord(given | {"name": str(node), "round": number})
    for index, node in enumerate(nodes):
        sender.send(index, Message(requests[index], dst_node_id=node, message_type="train"))
    left = len(nodes)
    while left:
        for index, reply in sender.wait():
            if reply.has_error():
                raise RuntimeError(f"node {nodes[index]} failed: {reply.error}")
            models.receive(str(nodes[index]), reply.content)
            models.acknowledge(str(nodes[index]), requests[index])
            down += message_size(requests.pop(index), "down")
            up += message_size(reply.content, "up")
            node_cpu += float(str(reply.content.metric_records["cost"]["cpu_s"]))
            left -= 1
    return {
        "seconds": time.monotonic() - wall,
        "server_cpu": time.process_time() - cpu,
        "node_cpu": node_cpu,
        "down": down,
        "up": up,
    }
