"""Tables of a run for the terminal."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from fedretina.report.peers import COLUMNS, peer_values
from fedretina.report.text import RESULTS, by_weight, headline, label, size, times, value
from fedretina.runs import ModelHistory, Run, Totals, load


def table(folder: Path) -> Group:
    """Return the tables that `fedretina report` prints: results, rounds and peers of each target, then the headline.

    Parameters
    ----------
    folder : pathlib.Path
        The run's folder.

    Returns
    -------
    rich.console.Group
        Empty tables are left out.

    Raises
    ------
    BadArgument, Corrupt
        As `load`.
    """
    run = load(folder)
    tables = [table for history in run.histories for table in _tables(run, history)]
    return Group(*tables, Text(headline(run)))


def _tables(run: Run, history: ModelHistory) -> Iterator[Table]:
    if history.results:
        yield _results(history)
    if history.rounds:
        yield _rounds(run, history)
    if peer_values(history):
        yield _peers(history)


def _title(name: str, history: ModelHistory) -> str:
    return f"{name} on {history.target}" if history.target else name


def _results(history: ModelHistory) -> Table:
    grid = _table(_title("Results", history), "", *map(label, history.metrics))
    for result in history.results.values():
        name = f"{RESULTS[result.key]} ({result.source})" if result.source else RESULTS[result.key]
        cells = [value(metric, result.metrics.get(metric)) for metric in history.metrics]
        grid.add_row(Text(name), *cells, style="bold" if result.key == "reuse" else None)
    return grid


def _rounds(run: Run, history: ModelHistory) -> Table:
    grid = _table(_title("Rounds", history), "round", *map(label, history.metrics), "down", "up", "saved")
    grid.add_column("alpha", justify="left")
    for entry in history.rounds:
        metrics = [value(metric, entry.metrics.get(metric)) for metric in history.metrics]
        alpha = ", ".join(f"{source} {weight:.2f}" for source, weight in by_weight(entry.alpha))
        grid.add_row(str(entry.number), *metrics, *_traffic(entry.totals), Text(alpha))
    grid.add_section()
    grid.add_row("all", *["" for _ in history.metrics], *_traffic(run.totals), "")
    return grid


def _peers(history: ModelHistory) -> Table:
    grid = _table(_title("Peers", history), *COLUMNS)
    for peer in peer_values(history):
        name, *cells = peer.cells
        grid.add_row(Text(name), *cells)
    return grid


def _table(title: str, first: str, *others: str) -> Table:
    grid = Table(title=Text(title), title_justify="left", title_style="bold")
    grid.add_column(first, justify="right" if first else "left")
    for name in others:
        grid.add_column(Text(name), justify="right")
    return grid


def _traffic(totals: Totals) -> tuple[str, str, str]:
    return size(totals.wire_down), size(totals.wire_up), times(totals.factor)
