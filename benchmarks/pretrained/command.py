"""The command: send each network that is installed, score it, write the page."""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from codec.results import DOM, Results
from fedretina.dom import DomConfig
from pretrained.coders import code, code_by_cli, code_sizes_alike
from pretrained.measure import Change, Cost, measure
from pretrained.networks import Named, Network, networks
from pretrained.page import Row, install_command, write
from pretrained.state import State

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "results"
ERRORS = (0.03, 0.01, 0.004, 0.002, 0.001)
FINE_VECTORS = 0.0003
DEPENDENCIES = [
    DOM,
    *(HERE / f"{name}.py" for name in ("bert", "coders", "images", "measure", "networks", "scores", "texts")),
]

app = typer.Typer(add_completion=False)
Coder = Callable[[State], tuple[State, int]]


@app.command()
def main(
    out: Annotated[Path, typer.Argument(help="folder of the results (JSON); a second run measures only the missing ones")],
    docs: Annotated[Path, typer.Option(help="the folder of the page")] = DOCS,
) -> None:
    """Measure what the first sending of trained networks costs, and write docs/results/pretrained.md."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    installed = [network for network in networks() if not network.missing]
    absent = [network for network in networks() if network.missing]
    if absent:
        print(f"not installed: {', '.join(n.name for n in absent)}; {install_command(absent)}", file=sys.stderr)
    if not installed:
        raise typer.Exit(1)
    results = Results(out, out)
    rows, others = ([row for n in installed for row in _rows(n, coders, results)] for coders in (usual(), alternatives()))
    write(docs / "pretrained.md", rows, others, networks(), has_characters="FEDRETINA_TEST_DATA" in os.environ)


def usual() -> dict[str, Coder]:
    """Return the codec with its default options, but for the error; the default error through the command line."""
    default = DomConfig().keyframe_error
    return {
        f"{error:g}{', CLI' * (error == default)}": code_by_cli if error == default else _coder(code, keyframe_error=error)
        for error in sorted({*ERRORS, default}, reverse=True)
    }


def alternatives() -> dict[str, Coder]:
    """Return alternatives: vectors with smaller errors, and matrices of all sizes with the same error."""
    fine = {"vector_error": FINE_VECTORS}
    return {
        f"0.001, vectors {FINE_VECTORS}": _coder(code, keyframe_error=0.001, **fine),
        f"0.002, vectors {FINE_VECTORS}": _coder(code, keyframe_error=0.002, **fine),
        f"0.002, vectors {FINE_VECTORS}, sizes alike": _coder(code_sizes_alike, keyframe_error=0.002, **fine),
    }


def _coder(function: Callable[[State, DomConfig], tuple[State, int]], **options: float) -> Coder:
    return partial(function, config=DomConfig(**options))  # type: ignore[arg-type]


def _rows(network: Network, coders: dict[str, Coder], results: Results) -> list[Row]:
    """Measure the cost of each coding for one network."""

    @cache
    def state() -> State:
        return network.load()

    @cache
    def before() -> Named:
        return network.embed(state())

    def cost(coder: Coder) -> dict[str, Any]:
        return asdict(measure(network, state(), before(), coder(state())))

    found = []
    for label, coder in coders.items():
        name = f"{network.name} {label}"
        stored = results.get(name, partial(cost, coder), code=DEPENDENCIES, vectors="", settings=label)
        found.append(Row(network.name, label, cost_of(stored)))
    return found


def cost_of(stored: dict[str, Any]) -> Cost:
    """Make a cost from its JSON."""
    return Cost(**{**stored, "changes": tuple(Change(**change) for change in stored["changes"])})
