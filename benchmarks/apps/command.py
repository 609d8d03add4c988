"""Whole Flower apps, each run plain and with the two lines for DoM: metrics, bytes, time, and what must be bit-identical.

    python benchmarks/apps run OUT                         # all apps; a pair of runs that is in OUT is not run again
    python benchmarks/apps run OUT --quick                 # few rounds, one seed, stored in OUT/quick
    python benchmarks/apps run OUT --app fedsgd --seeds 0,1,2
    python benchmarks/apps page OUT                        # writes docs/results/apps.md from what is in OUT

A pair is run again if the code of fedretina.dom, fedretina.flower or the apps has changed since.
"""

from pathlib import Path
from typing import Annotated

import typer

from apps import page as page_
from apps.cells import measure_all, read_all
from apps.compare import Found
from apps.examples import APPS
from apps.tables import main_table

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode=None, pretty_exceptions_enable=False)
Out = Annotated[Path, typer.Argument(help="Folder of the results.")]


@app.command()
def run(
    out: Out,
    quick: Annotated[bool, typer.Option("--quick", help="Few rounds and one seed, in OUT/quick.")] = False,
    app: Annotated[str, typer.Option(help="One app, or several, comma-separated.")] = "",
    seeds: Annotated[str, typer.Option(help="Comma-separated; by default as many as the app's training needs.")] = "",
) -> None:
    """Run what is not in OUT yet."""
    names = app.split(",") if app else list(APPS)
    if unknown := [name for name in names if name not in APPS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose among {', '.join(APPS)}", param_hint="--app")
    folder = out / "quick" if quick else out
    numbers = [int(seed) for seed in seeds.split(",")] if seeds else None
    for cell in measure_all(folder, [APPS[name] for name in names], numbers, quick=quick):
        print(_line(cell), flush=True)
    print(main_table({name: cells for name, cells in read_all(folder).items() if name in names}))


@app.command()
def page(out: Out) -> None:
    """Write docs/results/apps.md and its picture."""
    page_.write(out)


def _line(cell: Found) -> str:
    head = f"{cell['app']}, seed {cell['seed']}:"
    if cell["error"]:
        return f"{head} {cell['error']}"
    ends = " -> ".join(f"{cell[arm]['metrics'][-1]:.2f}" for arm in ("plain", "dom"))
    return f"{head} {ends}, {cell['plain']['seconds']:.1f} s and {cell['dom']['seconds']:.1f} s"
