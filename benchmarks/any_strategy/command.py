"""What DoM does under Flower's strategies: measures, keeps the results in OUT, writes docs/results/any-strategy.md.

    python benchmarks/any_strategy all OUT                 # everything but memory
    python benchmarks/any_strategy strategies OUT          # one part: strategies, variants, networks, soak, cost, traffic
    python benchmarks/any_strategy memory OUT --clients 100 --megabytes 100 --limit-gb 20
    python benchmarks/any_strategy networks OUT --quick    # two seeds, four rounds: prints the table, leaves the page alone
    python benchmarks/any_strategy page OUT                # only writes the page from what is in OUT

What was measured is measured again only if its file is removed from OUT; a part that was broken off goes on with
the run that it was at. `memory` runs DoM and plain Flower one after the other in process groups of their own, and ends
one that takes more than the limit before it harms anybody else.
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
FRESH = "2,3,4,5,6,7"  # the app's defaults were chosen on 0 and 1


def _numbers(seeds: str) -> list[int]:
    return [int(seed) for seed in seeds.split(",")]


def _once(out: Path, name: str, measure: Callable[[], Found]) -> None:
    """Measure a part that is not there yet, and write the page."""
    Results(out).measured(name, measure)
    page_.write(out)


def _collected(out: Path, name: str, found: Found) -> None:
    """Keep a part whose runs are kept one by one, and write the page."""
    Results(out).put(name, found)
    page_.write(out)


@app.command()
def strategies(out: Out, seeds: Seeds = FRESH) -> None:
    """Every strategy beside plain Flower."""
    _collected(out, "strategies", tables.measure_strategies(_numbers(seeds), out / "runs"))


@app.command()
def variants(out: Out, seeds: Seeds = FRESH) -> None:
    """Bits, budget, error feedback."""
    _collected(out, "variants", tables.measure_variants(_numbers(seeds), out / "runs"))


@app.command()
def networks(
    out: Out,
    seeds: Seeds = "0,1,2,3,4",
    quick: Annotated[bool, typer.Option("--quick", help="Two seeds, four rounds; only prints the table.")] = False,
) -> None:
    """Every kind of network beside plain Flower, round by round."""
    if quick:
        found = networks_.measure(_numbers(seeds)[:2], out / "runs", rounds=4)
        print(network_tables.table(found))
    else:
        _collected(out, "networks", networks_.measure(_numbers(seeds), out / "runs"))


@app.command()
def soak(out: Out, rounds: int = 50) -> None:
    """Rounds in which everything goes wrong."""
    _once(out, "soak", lambda: soak_.measure(rounds))


@app.command()
def cost(out: Out, nodes: int = 1000, megabytes: float = 1.0, repeats: int = 3) -> None:
    """Time per message in Flower's simulation, beside plain Flower."""
    _collected(out, "cost", cost_.measure(nodes, megabytes, repeats, out / "runs"))


@app.command()
def traffic(out: Out) -> None:
    """The ledger's bytes beside what a SuperLink counts, over TLS."""
    _once(out, "traffic", traffic_.measure)


@app.command()
def memory(out: Out, clients: int = 100, megabytes: float = 100.0, limit_gb: float = 20.0) -> None:
    """Memory of a round in Flower's simulation, beside plain Flower."""
    name = f"memory-{clients}-{megabytes:g}"
    _collected(out, name, memory_.measure(clients, megabytes, limit_gb, out / "runs"))


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
