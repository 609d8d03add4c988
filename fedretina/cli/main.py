"""The command `fedretina` with its groups; the option --version; and how errors are shown."""

import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from fedretina import __version__
from fedretina.cli import cache, city, data, dom, report, study, watch
from fedretina.cli.progress import printable
from fedretina.errors import FedRetinaError

if TYPE_CHECKING:
    from click import Context


class Commands(TyperGroup):
    """Shows a `FedRetinaError` of a command as a message without a traceback, and exits with 1."""

    def invoke(self, ctx: "Context") -> Any:
        """Run the command that the arguments name."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # a terminal may lack letters of a tensor's name
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except FedRetinaError as error:
            typer.echo("\n".join(printable(line).plain for line in str(error).splitlines()), err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Commands,
    help="Train on the models of other domains, and send models as small differences.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command("report")(report.report)
app.command("watch")(watch.watch)
app.add_typer(cache.app, name="cache")
app.add_typer(dom.app, name="dom")
app.add_typer(study.app, name="study")
app.add_typer(data.app, name="data")
app.add_typer(city.app, name="city")


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
    """Read the options that are before a command."""
