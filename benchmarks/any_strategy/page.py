"""docs/results/any-strategy.md, from the results that are there."""

from collections.abc import Callable
from pathlib import Path

from any_strategy import cost, memory, network_tables, soak, tables, traffic
from any_strategy.tables import Found
from digits_task import TESTED
from fedretina.study import Results

DOCS = Path(__file__).parents[2] / "docs" / "results"
PAGE = DOCS / "any-strategy.md"
HEAD = """# DoM under any strategy, measured

`python benchmarks/any_strategy all OUT` wrote this page, `memory` its last part; how to use it stands in
[under-your-strategy.md](../guides/under-your-strategy.md). Factors: bytes that plain Flower sends over bytes sent, first
sendings, headers, envelopes and repeated messages included. Times are of the machine that it ran on: 2 cores, 24 GB,
shared with other work.
"""


def write(out: Path) -> None:
    """Write the page."""
    parts, results = [HEAD], Results(out)
    for name, section in SECTIONS.items():
        if (entry := results.entry(name)) is not None:
            parts.append(section(entry.value))
    entries = sorted(results.entries("memory-*"), key=lambda entry: [float(part) for part in entry.name.split("-")[1:]])
    if entries:
        parts.append(_memory([entry.value for entry in entries]))
    PAGE.write_text("\n".join(part.rstrip() + "\n" for part in parts))


def _strategies(found: Found) -> str:
    return f"""## Every strategy, plain Flower beside DoM

`simulations/any_strategy` with its defaults (digits, 100,234 parameters, 15 rounds; all nodes train and
evaluate in each), without Ray. Mean ± standard deviation over seeds {tables.seeds_of(found)}, the same in both;
*difference*: by seed, and the *least* of them. The model is the last round's, tested on {TESTED} images: one of them
is {100 / TESTED:.2f} %. The digits' skew over the nodes, the learning rate and QFedAvg's q were chosen on runs of seeds 0
and 1, so that plain Flower trains under every strategy.

{tables.strategies_table(found)}
{tables.all_pairs(found)}"""


def _variants(found: Found) -> str:
    return f"""## What the options do

The same, FedAvg, 4 nodes, seeds {tables.seeds_of(found)}.

{tables.variants_table(found)}"""


def _networks(found: Found) -> str:
    network_tables.plot(found, DOCS / "images" / network_tables.PICTURE)
    return f"""## Every kind of network, round by round

{network_tables.text(found)}"""


def _soak(found: Found) -> str:
    return f"""## Everything goes wrong

{soak.text(found)}"""


def _cost(found: Found) -> str:
    return f"""## {found["nodes"]:,} nodes with {found["megabytes"]:g} MB

Flower's simulation, two actors; nodes answer at once. Both in turns, {len(found["runs"]) // 2} run(s) each, the first
round of each left out.

{cost.text(found)}"""


def _traffic(found: Found) -> str:
    return f"""## The ledger beside Flower's own count

{traffic.text(found)}"""


def _memory(found: list[Found]) -> str:
    memory.plot(found[-1], DOCS / "images" / "memory.png")
    return f"""## Memory of two rounds

Flower's simulation, two actors, FedAvg; memory of all processes (shared pages once), sampled twice a second. A
run that takes more than the limit is ended. `memory OUT --clients 100 --megabytes 100` measures the last row.

{memory.table(found)}
![Memory over time](images/memory.png)"""


SECTIONS: dict[str, Callable[[Found], str]] = {
    "strategies": _strategies,
    "variants": _variants,
    "networks": _networks,
    "soak": _soak,
    "cost": _cost,
    "traffic": _traffic,
}
