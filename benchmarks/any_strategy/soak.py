"""Many rounds in which everything goes wrong, beside plain Flower with the same failures."""

import logging
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

sys.path[:0] = [
    str(Path(__file__).parent.parent.parent / "tests"),
    str(Path(__file__).parent.parent.parent / "tests" / "flower"),
]

import numpy as np  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402

import toy  # noqa: E402
from fedretina.dom import DomConfig  # noqa: E402
from fedretina.flower import DomGrid, grid, state  # noqa: E402
from grids import FAULTS, Clock, FaultyGrid  # noqa: E402

NODES = 10
SHARES = {"fails": 0.3, **dict.fromkeys((fault for fault in FAULTS if fault != "fails"), 0.1)}
RESTARTS_EVERY = 10
LOSSLESS = DomConfig(lossless=True)  # so that aggregates can be compared bit by bit


def faults(number: int, node: int) -> list[str]:
    """Say what happens to a node in a round: 30 % fail, everything else befalls 10 %; the same in every run."""
    return [kind for kind, share in SHARES.items() if random.Random(f"{number} {node} {kind}").random() < share]


class Watching(FedAvg):
    """FedAvg that adds in the order of the nodes, keeps its aggregates, and looks at both ends after each round."""

    def __init__(self, look: Any, first: int) -> None:
        super().__init__(min_train_nodes=NODES, min_evaluate_nodes=NODES, min_available_nodes=NODES)
        self.look, self.first = look, first
        self.aggregates: list[dict[str, np.ndarray]] = []

    def configure_train(self, server_round: int, *args: Any) -> Any:
        return super().configure_train(server_round + self.first, *args)

    def configure_evaluate(self, server_round: int, *args: Any) -> Any:
        return super().configure_evaluate(server_round + self.first, *args)

    def aggregate_train(self, server_round: int, replies: Any) -> Any:
        replies = sorted(replies, key=lambda reply: reply.metadata.src_node_id)
        arrays, metrics = super().aggregate_train(server_round, replies)
        self.aggregates.append({} if arrays is None else toy.model_of(arrays))
        return arrays, metrics

    def aggregate_evaluate(self, server_round: int, replies: Any) -> Any:
        self.look()
        return super().aggregate_evaluate(server_round, replies)


def measure(rounds: int) -> dict[str, Any]:
    """Run the soak; the server starts again from its state every ten rounds."""
    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    grid.time = Clock()  # type: ignore[assignment]  # replies that are late are late by this clock only
    with tempfile.TemporaryDirectory() as name:
        ours, inner, desyncs, rows = _run(Path(name), rounds, plain=False)
        plain, _, _, _ = _run(Path(name), rounds, plain=True)
    wrong = sum(not _equal(a, b) for a, b in zip(ours, plain, strict=True))
    resent = [row for row in rows if row.direction == "down" and ("UnknownBase" in row.error or "Corrupt" in row.error)]
    return {
        "rounds": rounds,
        "nodes": NODES,
        "injected": dict(inner.injected),
        "server restarts": (rounds - 1) // RESTARTS_EVERY,
        "desyncs": desyncs,
        "wrong aggregates": wrong,
        "aggregates": sum(map(bool, ours)),
        "messages": len(rows),
        "sent again within the round": len(resent),
    }


def _run(folder: Path, rounds: int, *, plain: bool) -> tuple[list[dict[str, np.ndarray]], FaultyGrid, int, list[Any]]:
    app = toy.app() if plain else toy.app(toy.per_node(folder / "nodes"))
    inner = FaultyGrid(app, NODES, faults, stores=lambda node: folder / "nodes" / str(node), plain=plain)
    arrays, aggregates, rows = toy.record_of(toy.start()), [], []
    desyncs: Counter[str] = Counter()
    for first in range(0, rounds, RESTARTS_EVERY):
        wire = (
            inner if plain else DomGrid(inner, DomConfig(lossless=True), store=folder / "server", streams=folder / "streams")
        )
        strategy = Watching(lambda wire=wire: desyncs.update(_out_of_step(inner, wire)), first)
        random.seed(first)
        result = strategy.start(wire, arrays, num_rounds=min(RESTARTS_EVERY, rounds - first), timeout=3)
        arrays = result.arrays if len(result.arrays) else arrays
        aggregates += strategy.aggregates
        rows += [] if plain else wire.ledger.rows
    return aggregates, inner, sum(desyncs.values()), rows


def _out_of_step(inner: FaultyGrid, wire: Any) -> list[str]:
    """Name the nodes that hold another version than the server believes after a round in which all have answered."""
    if not isinstance(wire, DomGrid):
        return []
    out = []
    for node, believed in wire.shelf.held.items():
        held = state.holds(inner.contexts[node])
        out += [str(node) for stream, digest in believed.items() if held.get(stream) != digest]
    return out


def _equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def table(found: dict[str, Any]) -> list[str]:
    """Write the table."""
    lines = ["| fault | times |", "|---|---|"]
    lines += [f"| {FAULTS[kind]} | {found['injected'].get(kind, 0)} |" for kind in FAULTS]
    lines += [f"| the server starts again from its state | {found['server restarts']} |"]
    return [
        *lines,
        "",
        f"{found['rounds']} rounds with {found['nodes']} nodes, {found['messages']} rows in the ledger: "
        f"**{found['desyncs']} desyncs** (digests compared on both ends after every round), "
        f"**{found['wrong aggregates']} of {found['aggregates']} aggregates wrong** (lossless coding, compared bit by bit "
        "with plain Flower under the same failures), "
        f"{found['sent again within the round']} messages sent again in another form within their round.",
    ]
