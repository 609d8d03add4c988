"""Many rounds with all kinds of failures, compared with plain Flower under the same failures; lossless and by default."""

import logging
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Message
from flwr.serverapp.strategy import FedAvg
from separate_nodes import separate_nodes

from any_strategy.recording_grid import Model, RecordingGrid
from any_strategy.tables import Found
from fedretina.dom import DomConfig
from fedretina.flower import DomGrid, grid, node_state
from fedretina.flower.failures import NOT_DECODED
from fedretina.ledger import Row
from fedretina.study import table as table_of
from fedretina.testing import FAULTS, FakeClock, FaultyGrid, to_model, to_record, toy_app, toy_model

NODES = 10
SHARES = {"fails": 0.3, **dict.fromkeys((fault for fault in FAULTS if fault != "fails"), 0.1)}
RESTARTS_EVERY = 10
CODINGS = {"lossless": DomConfig(lossless=True), "by default": DomConfig()}
MEAN, PLAIN, ERROR = "not the mean of what was sent", "not plain Flower's", "largest error of a difference down"


def faults(number: int, node: int) -> list[str]:
    """List the faults of a node in a round: 30 % fail, every other fault has 10 %; equal in every run."""
    return [kind for kind, share in SHARES.items() if random.Random(f"{number} {node} {kind}").random() < share]


class CheckedFedAvg(FedAvg):
    """FedAvg that adds replies in the order of the nodes, stores its aggregates, and calls a check after each round."""

    def __init__(self, check: Callable[[], None], first: int) -> None:
        super().__init__(min_train_nodes=NODES, min_evaluate_nodes=NODES, min_available_nodes=NODES)
        self.check, self.first = check, first
        self.aggregates: list[Model] = []

    def configure_train(self, server_round: int, *args: Any) -> Any:
        return super().configure_train(server_round + self.first, *args)

    def configure_evaluate(self, server_round: int, *args: Any) -> Any:
        return super().configure_evaluate(server_round + self.first, *args)

    def aggregate_train(self, server_round: int, replies: Any) -> Any:
        replies = sorted(replies, key=_sender)
        arrays, metrics = super().aggregate_train(server_round, replies)
        self.aggregates.append({} if arrays is None else to_model(arrays))
        return arrays, metrics

    def aggregate_evaluate(self, server_round: int, replies: Any) -> Any:
        self.check()
        return super().aggregate_evaluate(server_round, replies)


@dataclass
class Run:
    """The records of one run."""

    inner: FaultyGrid
    aggregates: list[Model] = field(default_factory=list)
    published: list[Model] = field(default_factory=list)
    desyncs: int = 0
    rows: list[Row] = field(default_factory=list)

    def check(self, wire: Any) -> None:
        """After a round, compare the digests on the nodes with those that the server expects."""
        if not isinstance(wire, DomGrid):
            return
        for node, expected in wire.acknowledgements.snapshot().items():
            stored = node_state.held_versions(self.inner.contexts[node])
            self.desyncs += sum(stored.get(stream) != digest for stream, digest in expected.items())
        newest = wire.streams.open("arrays").newest
        assert newest is not None
        self.published.append(dict(newest.model))

    def errors(self) -> list[float]:
        """Compute the error of each published version, relative to the distance of its aggregate from the version before."""
        triples = zip(self.aggregates[1:], self.published[1:], self.published, strict=False)
        return [_distance(made, sent) / _distance(made, before) for made, sent, before in triples if made]


def measure(rounds: int) -> Found:
    """Run the soak with each coding; the server starts again from its state every ten rounds."""
    found: Found = {"rounds": rounds, "nodes": NODES, "server restarts": (rounds - 1) // RESTARTS_EVERY}
    with _no_waiting(), tempfile.TemporaryDirectory() as name:
        plain = _run(Path(name), rounds, None)
        for coding, config in CODINGS.items():
            found[coding] = _summary(_run(Path(name) / coding, rounds, config), plain)
    return found


@contextmanager
def _no_waiting() -> Iterator[None]:
    """Use a simulated clock, so that late replies cost no time."""
    logger, time = logging.getLogger("flwr"), grid.time
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    grid.time = FakeClock()  # type: ignore[assignment]
    try:
        yield
    finally:
        grid.time = time
        logger.setLevel(level)


def _run(folder: Path, rounds: int, config: DomConfig | None) -> Run:
    """Run with a coding, or plain Flower where it is None."""
    if config is None:
        inner = FaultyGrid(toy_app(), NODES, faults, plain=True)
    else:
        inner = RecordingGrid(
            toy_app(separate_nodes(folder / "nodes")), NODES, faults, stores=lambda n: folder / "nodes" / str(n)
        )
    run, arrays = Run(inner), to_record(toy_model())
    for first in range(0, rounds, RESTARTS_EVERY):
        wire = inner if config is None else DomGrid(inner, config, store=folder / "server", streams=folder / "streams")
        strategy = CheckedFedAvg(partial(run.check, wire), first)
        random.seed(first)
        result = strategy.start(wire, arrays, num_rounds=min(RESTARTS_EVERY, rounds - first), timeout=3)
        arrays = result.arrays if len(result.arrays) else arrays
        run.aggregates += strategy.aggregates
        run.rows += wire.ledger.rows if isinstance(wire, DomGrid) else []
    return run


def _summary(run: Run, plain: Run) -> Found:
    """Compare a run with the average of what its nodes sent, and with plain Flower."""
    assert isinstance(run.inner, RecordingGrid)
    means = [run.inner.mean(number) for number in range(1, len(run.aggregates) + 1)]
    resent = [row for row in run.rows if row.error.startswith(NOT_DECODED)]
    return {
        "injected": dict(run.inner.injected),
        "rows": len(run.rows),
        "sent again within the round": len(resent),
        "desyncs": run.desyncs,
        "aggregates": sum(map(bool, run.aggregates)),
        MEAN: _unequal(run.aggregates, means),
        PLAIN: _unequal(run.aggregates, plain.aggregates),
        ERROR: max(run.errors()),
    }


def _sender(reply: Message) -> int:
    return reply.metadata.src_node_id


def _unequal(some: list[Model], others: list[Model]) -> int:
    """Count the models that differ in any bit."""
    pairs = zip(some, others, strict=True)
    return sum(a.keys() != b.keys() or not all(np.array_equal(a[key], b[key]) for key in a) for a, b in pairs)


def _distance(a: Model, b: Model) -> float:
    return float(np.sqrt(sum(np.square(a[key].astype(float) - b[key]).sum() for key in b)))


def text(found: Found) -> str:
    """Write the table, and explain the comparisons."""
    results = [found[coding] for coding in CODINGS]
    rows = [[FAULTS[kind], *(str(one["injected"].get(kind, 0)) for one in results)] for kind in FAULTS]
    rows.append(["the server starts again from its state", *[str(found["server restarts"])] * 2])
    rows += [[key, *(f"{one[key]:,}" for one in results)] for key in ("rows", "sent again within the round")]
    rows.append(["**desyncs**", *(f"**{one['desyncs']}**" for one in results)])
    rows.append([f"aggregates: {MEAN}", *(f"{one[MEAN]} of {one['aggregates']}" for one in results)])
    rows.append([f"aggregates: {PLAIN}", f"{results[0][PLAIN]} of {results[0]['aggregates']}", ""])
    rows.append([ERROR, *(f"{100 * one[ERROR]:.1f} %" for one in results)])
    return f"""{found["rounds"]} rounds with {found["nodes"]} nodes, once with lossless coding, once with the defaults.

*Rows*: of the ledger. *Desyncs*: digests compared on both ends after every round. *The mean of what was sent*: each
reply that reached the server is decoded on its own with the node's models, and averaged; aggregates are compared with
that bit by bit, and without loss also with plain Flower's under the same failures. *Error of a difference*: how far
the version that nodes get is from the aggregate, over how far that is from the version before; 25 % are asked for, and
met within a factor of 1.41.

{table_of(["", *CODINGS], rows)}"""
