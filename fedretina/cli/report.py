"""`fedretina report`: page, plots and tables of a run, several runs side by side, and exports."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedretina import home

_REASONS = {"failed": "failed", "unfinished": "did not complete"}


def report(
    runs: Annotated[list[Path] | None, typer.Argument(help="Folders or names of runs; by default the latest run.")] = None,
    *,
    csv: Annotated[Path | None, typer.Option(help="A file to write: a row for each run, target and round.")] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="A folder for TensorBoard to write into; needs the package `tensorboard`.")
    ] = None,
    out: Annotated[Path, typer.Option(help="With several runs: the picture to write.")] = Path("comparison.png"),
) -> None:
    """Write a run's page and plots again, and print its tables. With several runs: compare them on the same axes.

    If a single run did not complete, exits with 1 and prints the reason.
    """
    from fedretina.report import write_csv, write_tensorboard
    from fedretina.runs import latest

    folders = [folder_of(run) for run in runs] if runs else [latest()]
    if csv:
        write_csv(folders, csv)
    if tensorboard:
        for folder in folders:
            write_tensorboard(folder, tensorboard)
    if len(folders) > 1:
        _compare(folders, out)
    else:
        _report(folders[0])


def folder_of(run: Path) -> Path:
    """Return a run's folder: the path, or the folder of that name among the user's runs."""
    return run if run.exists() or run.is_absolute() or len(run.parts) > 1 else home.runs() / run


def _report(folder: Path) -> None:
    from fedretina.report import build, table
    from fedretina.runs import load

    page = build(folder)
    Console().print(table(folder))
    typer.echo(str(page))
    found = load(folder)
    if found.status != "completed":
        typer.echo(f"the run {found.folder} {_REASONS[found.status]}: {found.reason}", err=True)
        raise typer.Exit(1)


def _compare(folders: list[Path], out: Path) -> None:
    from fedretina.atomic import write_bytes
    from fedretina.errors import BadArgument
    from fedretina.report import compare, to_png

    grid, picture = compare(folders)
    Console().print(grid)
    try:
        write_bytes(out, to_png(picture))
    except OSError as error:
        raise BadArgument(f"cannot write {out} ({error.strerror or error}): name a file in a folder that exists") from error
    typer.echo(str(out.absolute()))
