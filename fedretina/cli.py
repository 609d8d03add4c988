"""The `fedretina` command: thin, and quick to start, since what a command needs is imported in it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from fedretina import __version__, cli_data, cli_dom, cli_study, home
from fedretina.errors import FedRetinaError

if TYPE_CHECKING:
    from click import Context


class Commands(TyperGroup):
    """Commands whose errors, if we raised them on purpose, are a message and exit code 1, without a traceback."""

    def invoke(self, ctx: "Context") -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except FedRetinaError as error:
            _fail(str(error))


app = typer.Typer(
    cls=Commands,
    help="Edge domains that teach each other, over difference-of-models traffic.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
cache = typer.Typer(help="What FedRetina keeps in its folder (FEDRETINA_HOME, else ~/.fedretina).", no_args_is_help=True)
app.add_typer(cache, name="cache")
app.add_typer(cli_dom.app, name="dom")
app.command("study")(cli_study.study)
app.add_typer(cli_data.app, name="data")

_WORDS = {"failed": "failed", "unfinished": "did not complete"}


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fedretina {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command()
def report(
    run: Annotated[Path | None, typer.Argument(help="The run's folder, or its name; the latest by default.")] = None,
) -> None:
    """Rebuild a run's page and plots, and print its tables. Without RUN: the latest run.

    Exits 1, with the reason, if the run did not complete.
    """
    from fedretina import report as room
    from fedretina import runs

    folder = runs.latest() if run is None else _find(run)
    page = room.build(folder)
    Console().print(room.table(folder))
    typer.echo(str(page))
    found = runs.load(folder)
    if found.status != "completed":
        _fail(f"the run {found.folder} {_WORDS[found.status]}: {found.reason}")


def _find(run: Path) -> Path:
    return run if run.exists() or run.is_absolute() or len(run.parts) > 1 else home.runs() / run


@cache.command("ls")
def list_cache() -> None:
    """Show what is kept, and its size."""
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


@cache.command("clear")
def clear_cache(
    what: Annotated[
        list[str] | None, typer.Argument(help=f"Any of {', '.join(home.FOLDERS)}; by default all but runs and studies.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
) -> None:
    """Delete what is kept: all caches, or those named. Runs and studies are deleted only when named.

    A run that is under way, or was interrupted, needs its `nodes` to go on.
    """
    names = list(dict.fromkeys(what or home.CACHES))
    held = {name: home.usage(home.folder(name)) for name in names}
    for name, usage in held.items():
        typer.echo(f"{home.folder(name)}: {usage.entries} entries, {decimal(usage.size)}")
    if not yes:
        typer.confirm("Delete them?", abort=True)
    freed = sum(home.clear(name).size for name in names)
    typer.echo(f"freed {decimal(freed)}")
