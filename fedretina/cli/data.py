"""`fedretina data`: what data sets lie on disk, beside the paper's Table 1."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fedretina.cli.progress import printable, progress_bar
from fedretina.errors import BadArgument

if TYPE_CHECKING:
    from fedretina.reid import Census

NARROWEST = 72
"""Columns that a table gets at least: a narrow terminal wraps its lines, and nobody cuts a number."""

app = typer.Typer(help="Data sets on disk.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """Name a group: with a single command typer would drop its name."""


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="A data set, or a folder of data sets.")],
    *,
    open_images: Annotated[
        bool, typer.Option("--open", help="Open every image too, which takes minutes: only that finds truncated ones.")
    ] = False,
) -> None:
    """Count images and identities, beside those of the paper's Table 1, and name what is off.

    Exits 1 if anything is, or if a data set cannot be read; the others are shown all the same.
    """
    from fedretina.reid import ambiguous, find_datasets

    found = find_datasets(folder)
    counted, problems = [], [] if found == [folder] else ambiguous(folder)
    for path in found:
        try:
            one = _census(path, open_images)
        except BadArgument as error:
            problems.append(f"{path.name}: cannot be read: {error}")
            continue
        counted.append(one)
        problems += [f"{one.name}: {problem}" for problem in one.problems]
    if counted:
        console = Console()
        Console(width=max(console.width, NARROWEST)).print(_table(folder, counted))
    for problem in problems:
        typer.echo(printable(problem).plain)
    if problems:
        raise typer.Exit(1)


def _census(path: Path, open_images: bool) -> "Census":
    from fedretina.reid import census

    if not open_images:
        return census(path)
    with progress_bar(f"opening {path.name}") as advance:
        return census(path, open_images=True, progress=lambda done, total: advance(1))


def _table(folder: Path, counted: "list[Census]") -> Table:
    grid = Table(title=printable(str(folder)), title_justify="left")
    grid.add_column("data set", overflow="fold")
    grid.add_column("split", no_wrap=True)
    for name in ("images", "ids", "paper:\nimages", "\nids"):
        grid.add_column(name, justify="right", no_wrap=True)
    for one in counted:
        for label, row in zip((one.name, one.layout, f"{one.cameras} cameras", "", ""), _rows(one), strict=True):
            grid.add_row(printable(label), *row)
        grid.add_section()
    return grid


def _rows(one: "Census") -> list[tuple[str, ...]]:
    """Give a data set's splits; the test split, as Table 1 has it, is the queries and the gallery."""
    splits = {"train": one.train, "test": one.test, "  query": one.query, "  gallery": one.gallery, "all": one.all}
    paper = _paper(one)
    return [(name, *map(_shown, mine), *map(_shown, paper.get(name, (None, None)))) for name, mine in splits.items()]


def _paper(one: "Census") -> dict[str, tuple[int, int]]:
    """Give Table 1's images and identities, if the data set is in there; its totals are not always their sums."""
    known = one.published
    if known is None or known.paper is None or known.paper_identities is None:
        return {}
    images, ids = known.paper, known.paper_identities
    return {"train": (images[0], ids[0]), "test": (images[1], ids[1])}


def _shown(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
