"""What DoM does under Flower's strategies: measures, keeps the results in OUT, writes docs/any-strategy.md.

    python benchmarks/any_strategy all OUT                 # everything but memory
    python benchmarks/any_strategy strategies OUT          # one part: strategies, variants, soak, cost, traffic
    python benchmarks/any_strategy memory OUT --clients 100 --megabytes 100 --limit-gb 20
    python benchmarks/any_strategy page OUT                # only writes the page from what is in OUT

A part that was measured is measured again only if its file is removed from OUT. `memory` runs plain Flower and DoM one after
the other in process groups of their own, and ends one that takes more than the limit before it harms anybody else.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parent))

import cost
import memory as memory_
import page as page_
import soak as soak_
import tables
import traffic as traffic_
from inprocess import module

cli = typer.Typer(add_completion=False)
Out = Annotated[Path, typer.Argument(help="Folder of the results.")]

Seeds = Annotated[str, typer.Option(help="Comma-separated.")]


def numbers(seeds: str) -> list[int]:
    """Read seeds."""
    return [int(seed) for seed in seeds.split(",")]


def kept(out: Path, name: str, measure: Callable[[], Any]) -> None:
    """Measure what is not there yet, and write the page."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{name}.json"
    if not file.exists():
        file.write_text(json.dumps(measure(), indent=1))
    page_.write(out)


@cli.command()
def strategies(out: Out, seeds: Seeds = "0,1,2") -> None:
    """Every strategy beside plain Flower."""
    kept(out, "strategies", lambda: tables.measure_strategies(module("choices").STRATEGIES, numbers(seeds), out / "runs"))


@cli.command()
def variants(out: Out, seeds: Seeds = "0,1,2") -> None:
    """Bits, budget, error feedback."""
    kept(out, "variants", lambda: tables.measure_variants(numbers(seeds), out / "runs"))


@cli.command()
def soak(out: Out, rounds: int = 50) -> None:
    """Rounds in which everything goes wrong."""
    kept(out, "soak", lambda: soak_.measure(rounds))


@cli.command(name="cost")
def cost_(out: Out, nodes: int = 1000, megabytes: float = 1.0) -> None:
    """Time per message in Flower's simulation, beside plain Flower."""
    kept(out, "cost", lambda: cost.measure(nodes, megabytes))


@cli.command()
def traffic(out: Out) -> None:
    """The ledger's bytes beside what a SuperLink counts, over TLS."""
    kept(out, "traffic", traffic_.measure)


@cli.command()
def memory(out: Out, clients: int = 100, megabytes: float = 100.0, limit_gb: float = 20.0) -> None:
    """Memory of a round in Flower's simulation, beside plain Flower."""
    name = f"memory-{clients}-{megabytes:g}"
    kept(out, name, lambda: memory_.measure(clients, megabytes, limit_gb))


@cli.command(name="all")
def all_(out: Out) -> None:
    """Everything but memory."""
    strategies(out)
    variants(out)
    soak(out)
    cost_(out)
    traffic(out)


@cli.command()
def page(out: Out) -> None:
    """Write the page."""
    page_.write(out)


if __name__ == "__main__":
    cli()
