"""docs/any-strategy.md, from the results that are there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cost
import memory
import soak
import tables
import traffic

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = DOCS / "any-strategy.md"
HEAD = [
    "# DoM under any strategy, measured",
    "",
    "`python benchmarks/any_strategy all OUT` wrote this page, `memory` its last part; how to use it stands in",
    "[under-your-strategy.md](under-your-strategy.md). Factors: bytes that plain Flower sends over bytes sent, first",
    "sendings, headers and repeated messages included. Times are of the machine that it ran on: 2 cores, 24 GB, shared",
    "with other work.",
    "",
]
Found = dict[str, Any]


def write(out: Path) -> None:
    """Write the page."""
    lines = list(HEAD)
    for name, section in SECTIONS.items():
        file = out / f"{name}.json"
        if file.exists():
            lines += [*section(json.loads(file.read_text())), ""]
    lines += _memory(out)
    PAGE.write_text("\n".join(lines).rstrip() + "\n")


def _strategies(found: Found) -> list[str]:
    return [
        "## Every strategy, plain Flower beside DoM",
        "",
        "`simulations/any_strategy` with its defaults (digits, 100,234 parameters, 15 rounds; all nodes train and",
        f"evaluate in each), without Ray. Mean over seeds {tables.seeds_of(found)}, the same in both. The model",
        "is the last round's. Krum takes one node's model a round, so that its accuracy moves by a point from round to",
        "round, with or without DoM. The digits' skew over the nodes, the learning rate and QFedAvg's q were chosen on",
        "runs of seeds 0 and 1, so that plain Flower trains under every strategy: other seeds say more.",
        "",
        *tables.strategies_table(found),
    ]


def _variants(found: Found) -> list[str]:
    return [
        "## What the knobs do",
        "",
        f"The same, FedAvg, 4 nodes, seeds {tables.seeds_of(found)}.",
        "",
        *tables.variants_table(found),
    ]


def _soak(found: Found) -> list[str]:
    return ["## Everything goes wrong", "", *soak.table(found)]


def _cost(found: Found) -> list[str]:
    return [
        f"## {found['nodes']:,} nodes with {found['megabytes']:g} MB",
        "",
        "Flower's simulation, two actors; nodes answer at once. Both in turns,",
        f"{len(found['runs']) // 2} run(s) each, the first round of each left out.",
        "",
        *cost.table(found),
    ]


def _traffic(found: Found) -> list[str]:
    return [
        "## The ledger beside Flower's own count",
        "",
        f"A SuperLink and {found['nodes']} SuperNodes over TLS, {found['rounds']} rounds with {found['megabytes']:g} MB;",
        "the ledger's sum beside `network-traffic` of `flwr ls`. What the SuperLink counts on top, about 2 kB for a message",
        "and its reply, is the messages' envelopes and the app itself.",
        "",
        *traffic.table(found),
    ]


def _memory(out: Path) -> list[str]:
    files = sorted(out.glob("memory-*.json"), key=lambda file: [float(part) for part in file.stem.split("-")[1:]])
    if not files:
        return []
    found = [json.loads(file.read_text()) for file in files]
    memory.plot(found[-1], DOCS / "images" / "memory.png")
    return [
        "## Memory of a round",
        "",
        "Flower's simulation, two actors, FedAvg; memory of all processes (shared pages once), sampled twice a second. A",
        "run that takes more than the limit is ended. `memory OUT --clients 100 --megabytes 100` measures the last row.",
        "",
        "| | limit | plain Flower | DoM |",
        "|---|---|---|---|",
        *(memory.row(one) for one in found),
        "",
        "![Memory over time](images/memory.png)",
    ]


SECTIONS: dict[str, Callable[[Found], list[str]]] = {
    "strategies": _strategies,
    "variants": _variants,
    "soak": _soak,
    "cost": _cost,
    "traffic": _traffic,
}
