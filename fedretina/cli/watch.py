"""`fedretina watch`: a run while it is under way."""

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from fedretina.cli.report import folder_of

LEAST_S = 0.5


def watch(
    run: Annotated[Path | None, typer.Argument(help="The run's folder or name; by default the latest run.")] = None,
    *,
    interval: Annotated[float, typer.Option(min=LEAST_S, help="Seconds between two looks into the folder.")] = 2.0,
) -> None:
    """Show a run while it is under way: rounds, metrics, alpha, bytes, what each domain does, and the time that is left.

    It reads the run's folder only, and ends with the run. If standard output is no terminal, it prints a line a round.
    """
    from fedretina.runs import latest

    folder = latest() if run is None else folder_of(run)
    try:
        (_live if sys.stdout.isatty() else _plain)(folder, interval)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _live(folder: Path, interval: float) -> None:
    from fedretina.report import frame, progress_of

    progress = progress_of(folder)
    with Live(frame(progress), console=Console(), refresh_per_second=2) as live:
        while progress.status == "unfinished":
            time.sleep(interval)
            progress = progress_of(folder)
            live.update(frame(progress))


def _plain(folder: Path, interval: float) -> None:
    from fedretina.report import format_round, new_rounds, progress_of

    shown: Counter[str] = Counter()
    while True:
        progress = progress_of(folder)
        for target, entry in new_rounds(progress, shown):
            typer.echo(format_round(entry, header=not shown, target=target))
            shown[target] += 1
        if progress.status != "unfinished":
            typer.echo(f"{progress.name} {progress.status}" + (f": {progress.reason}" if progress.reason else ""))
            return
        time.sleep(interval)
