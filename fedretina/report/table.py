"""The tables of a run for the terminal."""

from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from fedretina.ledger import Totals
from fedretina.report.peers import COLUMNS, peer_values
from fedretina.report.text import RESULTS, by_weight, headline, label, size, times, value
from fedretina.runs import Run, load


def table(folder: Path) -> Group:
    """Return what `fedretina report` prints of a run: results, rounds, peers, and the headline below.

    Parameters
    ----------
    folder : pathlib.Path
        The run's folder.

    Returns
    -------
    rich.console.Group
        Tables that the run has nothing for are left out.

    Raises
    ------
    BadArgument, Corrupt
        As `load`.
    """
    run = load(folder)
    parts: list[Table | Text] = []
    if run.results:
        parts.append(_results(run))
    if run.rounds:
        parts.append(_rounds(run))
    if peer_values(run):
        parts.append(_peers(run))
    return Group(*parts, Text(headline(run)))


def _results(run: Run) -> Table:
    grid = _table(f"Results on {run.target}" if run.target else "Results", "", *map(label, run.metrics))
    for result in run.results.values():
        name = f"{RESULTS[result.key]} ({result.source})" if result.source else RESULTS[result.key]
        cells = [value(metric, result.metrics.get(metric)) for metric in run.metrics]
        grid.add_row(Text(name), *cells, style="bold" if result.key == "reuse" else None)
    return grid


def _rounds(run: Run) -> Table:
    grid = _table("Rounds", "round", *map(label, run.metrics), "down", "up", "saved")
    grid.add_column("alpha", justify="left")
    for entry in run.rounds:
        metrics = [value(metric, entry.metrics.get(metric)) for metric in run.metrics]
        alpha = ", ".join(f"{source} {weight:.2f}" for source, weight in by_weight(entry.alpha))
        grid.add_row(str(entry.number), *metrics, *_traffic(entry.totals), Text(alpha))
    grid.add_section()
    grid.add_row("all", *["" for _ in run.metrics], *_traffic(run.totals), "")
    return grid


def _peers(run: Run) -> Table:
    grid = _table("Peers", *COLUMNS)
    for peer in peer_values(run):
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
