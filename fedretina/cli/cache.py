"""`fedretina cache`: shows and deletes the files that FedRetina keeps in the user's folder."""

from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from fedretina import home

app = typer.Typer(
    help="The files that FedRetina keeps in its folder (FEDRETINA_HOME, by default ~/.fedretina).", no_args_is_help=True
)


@app.command("ls")
def list_cache() -> None:
    """Show the folders and their sizes."""
    grid = Table(title=Text(str(home.home())), title_justify="left")
    for name in ("", "entries", "size"):
        grid.add_column(name, justify="right" if name else "left")
    usages = {name: home.usage(home.folder(name)) for name in home.FOLDERS}
    for name, usage in usages.items():
        grid.add_row(name, str(usage.entries), decimal(usage.size))
    grid.add_section()
    total = sum(usage.size for usage in usages.values())
    grid.add_row("total", str(sum(usage.entries for usage in usages.values())), decimal(total))
    Console().print(grid)


@app.command("clear")
def clear_cache(
    what: Annotated[
        list[str] | None,
        typer.Argument(help=f"Any of {', '.join(home.FOLDERS)}; by default all but runs and studies."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
) -> None:
    """Delete all caches, or the folders that are named. Runs and studies are deleted only if they are named.

    A run that is under way, or was interrupted, needs `nodes` to go on.
    """
    names = list(dict.fromkeys(what or home.CACHES))
    usages = {name: home.usage(home.folder(name)) for name in names}
    for name, usage in usages.items():
        typer.echo(f"{home.folder(name)}: {usage.entries} entries, {decimal(usage.size)}")
    if not yes:
        typer.confirm("Delete them?", abort=True)
    freed = sum(home.clear(name).size for name in names)
    typer.echo(f"freed {decimal(freed)}")
