"""`fedretina report`: the page, plots and tables of a run."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedretina import home

_REASONS = {"failed": "failed", "unfinished": "did not complete"}


def report(
    run: Annotated[Path | None, typer.Argument(help="The run's folder, or its name; the latest by default.")] = None,
) -> None:
    """Rebuild a run's page and plots, and print its tables. Without RUN: the latest run.

    Exits 1, with the reason, if the run did not complete.
    """
    from fedretina.report import build, table
    from fedretina.runs import latest, load

    folder = latest() if run is None else _folder_of(run)
    page = build(folder)
    Console().print(table(folder))
    typer.echo(str(page))
    found = load(folder)
    if found.status != "completed":
        typer.echo(f"the run {found.folder} {_REASONS[found.status]}: {found.reason}", err=True)
        raise typer.Exit(1)


def _folder_of(run: Path) -> Path:
    return run if run.exists() or run.is_absolute() or len(run.parts) > 1 else home.runs() / run
