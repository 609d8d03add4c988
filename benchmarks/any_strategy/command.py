"""Measure DoM under Flower's strategies, store the results in OUT, and write docs/results/any-strategy.md.

    python benchmarks/any_strategy all OUT                 # everything but memory
    python benchmarks/any_strategy strategies OUT          # one part: strategies, variants, networks, soak, cost, traffic
    python benchmarks/any_strategy memory OUT --clients 100 --megabytes 100 --limit-gb 20
    python benchmarks/any_strategy networks OUT --quick    # two seeds, four rounds: prints the table, writes no page
    python benchmarks/any_strategy page OUT                # only writes the page from what is in OUT

A stored result is measured again only if its file is removed from OUT. An interrupted part continues with the run at which
it stopped. `memory` runs DoM and plain Flower one after the other, and ends a run that exceeds the memory limit.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from any_strategy import cost as cost_
from any_strategy import memory as memory_
from any_strategy import network_tables, tables
from any_strategy import networks as networks_
from any_strategy import page as page_
from any_strategy import soak as soak_
from any_strategy import traffic as traffic_
from any_strategy.tables import Found
from fedretina.study import Results

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode=None)
Out = Annotated[Path, typer.Argument(help="Folder of the results.")]
Seeds = Annotated[str, typer.Option(help="Comma-separated.")]
SEEDS = "2,3,4,5,6,7"  # the app's defaults were chosen on 0 and 1


def _numbers(seeds: str) -> list[int]:
    return [int(seed) for seed in seeds.split(",")]


def _measure_once(out: Path, name: str, measure: Callable[[], Found]) -> None:
    """Measure a part if it is not stored yet, and write the page."""
    Results(out).measured(name, measure)
    page_.write(out)


def _store(out: Path, name: str, found: Found) -> None:
    """Store a part whose runs are stored one by one, and write the page."""
    Results(out).put(name, found)
    page_.write(out)


@app.command()
def strategies(out: Out, seeds: Seeds = SEEDS) -> None:
    """Every strategy, compared with plain Flower."""
    _store(out, "strategies", tables.measure_strategies(_numbers(seeds), out / "runs"))


@app.command()
def variants(out: Out, seeds: Seeds = SEEDS) -> None:
    """Bits, budget, error feedback."""
    _store(out, "variants", tables.measure_variants(_numbers(seeds), out / "runs"))


@app.command()
def networks(
    out: Out,
    seeds: Seeds = "0,1,2,3,4",
    quick: Annotated[bool, typer.Option("--quick", help="Two seeds, four rounds; only prints the table.")] = False,
) -> None:
    """Every kind of network, compared with plain Flower, round by round."""
    if quick:
        found = networks_.measure(_numbers(seeds)[:2], out / "runs", rounds=4)
        print(network_tables.table(found))
    else:
        _store(out, "networks", networks_.measure(_numbers(seeds), out / "runs"))


@app.command()
def soak(out: Out, rounds: int = 50) -> None:
    """Rounds with all kinds of failures."""
    _measure_once(out, "soak", lambda: soak_.measure(rounds))


@app.command()
def cost(out: Out, nodes: int = 1000, megabytes: float = 1.0, repeats: int = 3) -> None:
    """Time per message in Flower's simulation, compared with plain Flower."""
    _store(out, "cost", cost_.measure(nodes, megabytes, repeats, out / "runs"))


@app.command()
def traffic(out: Out) -> None:
    """The ledger's bytes, compared with those that a SuperLink counts, over TLS."""
    _measure_once(out, "traffic", traffic_.measure)


@app.command()
def memory(out: Out, clients: int = 100, megabytes: float = 100.0, limit_gb: float = 20.0) -> None:
    """Memory of a round in Flower's simulation, compared with plain Flower."""
    name = f"memory-{clients}-{megabytes:g}"
    _store(out, name, memory_.measure(clients, megabytes, limit_gb, out / "runs"))


@app.command(name="all")
def all_(out: Out) -> None:
    """Everything but memory."""
    strategies(out)
    variants(out)
    networks(out)
    soak(out)
    cost(out)
    traffic(out)


@app.command()
def page(out: Out) -> None:
    """Write the page."""
    page_.write(out)
