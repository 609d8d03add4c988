"""`fedretina report`: page, plots and tables of a run."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedretina import home

_REASONS = {"failed": "failed", "unfinished": "did not complete"}


def report(
    run: Annotated[Path | None, typer.Argument(help="The run's folder or name; by default the latest run.")] = None,
) -> None:
    """Write a run's page and plots again, and print its tables. Without RUN: of the latest run.

    If the run did not complete, exits with 1 and prints the reason.
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
