"""`fedretina data`: counts the data sets on disk, and compares them with the paper's Table 1."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fedretina.cli.progress import printable, progress_bar
from fedretina.errors import BadArgument

if TYPE_CHECKING:
    from fedretina.reid import Census

MIN_WIDTH = 72
"""The smallest width of a table, in characters: a narrower terminal wraps the lines, but no number is cut."""

app = typer.Typer(help="Data sets on disk.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """Make a group: typer drops the name of a single command."""


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="A data set, or a folder of data sets.")],
    *,
    open_images: Annotated[
        bool, typer.Option("--open", help="Open every image too, which takes minutes: only that finds truncated ones.")
    ] = False,
) -> None:
    """Count images and identities, compare them with the paper's Table 1, and list the problems.

    Exits with 1 if there is a problem, or if a data set cannot be read. The other data sets are shown in any case.
    """
    from fedretina.reid import ambiguous, find_datasets

    found = find_datasets(folder)
    counted, problems = [], [] if found == [folder] else ambiguous(folder)
    for path in found:
        try:
            counts = _census(path, open_images)
        except BadArgument as error:
            problems.append(f"{path.name}: cannot be read: {error}")
            continue
        counted.append(counts)
        problems += [f"{counts.name}: {problem}" for problem in counts.problems]
    if counted:
        console = Console()
        Console(width=max(console.width, MIN_WIDTH)).print(_table(folder, counted))
    for problem in problems:
        typer.echo(printable(problem).plain)
    if problems:
        raise typer.Exit(1)


def _census(path: Path, open_images: bool) -> "Census":
    from fedretina.reid import census

    if not open_images:
        return census(path)
    with progress_bar(f"opening {path.name}") as advance:

        def on_progress(done: int, total: int) -> None:
            advance(1)

        return census(path, open_images=True, progress=on_progress)


def _table(folder: Path, counted: "list[Census]") -> Table:
    grid = Table(title=printable(str(folder)), title_justify="left")
    grid.add_column("data set", overflow="fold")
    grid.add_column("split", no_wrap=True)
    for name in ("images", "ids", "paper:\nimages", "\nids"):
        grid.add_column(name, justify="right", no_wrap=True)
    for counts in counted:
        labels = (counts.name, counts.layout, f"{counts.cameras} cameras", "", "")
        for label, row in zip(labels, _rows(counts), strict=True):
            grid.add_row(printable(label), *row)
        grid.add_section()
    return grid


def _rows(found: "Census") -> list[tuple[str, ...]]:
    """Return a row for each split; the test split is queries and gallery together, as in Table 1."""
    splits = {
        "train": found.train,
        "test": found.test,
        "  query": found.query,
        "  gallery": found.gallery,
        "all": found.all,
    }
    paper = _paper_counts(found)
    return [
        (name, *map(_format_count, counts), *map(_format_count, paper.get(name, (None, None))))
        for name, counts in splits.items()
    ]


def _paper_counts(found: "Census") -> dict[str, tuple[int, int]]:
    """Return the images and identities of Table 1, if it has the data set; its totals are left out: not all are sums."""
    known = found.published
    if known is None or known.paper is None or known.paper_identities is None:
        return {}
    images, ids = known.paper, known.paper_identities
    return {"train": (images[0], ids[0]), "test": (images[1], ids[1])}


def _format_count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
