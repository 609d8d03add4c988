"""Several runs side by side: a table, and their curves on the same axes."""

import math
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from fedretina.report.style import LIGHT, bytes_axis, label_right, new_figure, style_axes
from fedretina.report.text import label, size, times, value
from fedretina.runs import ModelHistory, Run, load


def compare(folders: Sequence[Path]) -> tuple[Table, Figure]:
    """Return the table and the picture of runs: a row and a curve for each run and target.

    Parameters
    ----------
    folders : sequence of Path
        The runs' folders.

    Raises
    ------
    BadArgument, Corrupt
        As `load`.
    """
    pairs = [(run, history) for run in map(load, folders) for history in run.histories]
    return _table(pairs), _picture(pairs)


Pair = tuple[Run, ModelHistory]


def _name(run: Run, history: ModelHistory) -> str:
    return f"{run.folder.name} {history.target}".rstrip()


def _table(pairs: Sequence[Pair]) -> Table:
    metrics = list(dict.fromkeys(name for _, history in pairs for name in history.metrics))
    grid = Table(title="Runs", title_justify="left", title_style="bold")
    for head in ("run", "method", "seed", "rounds"):
        grid.add_column(head)
    for head in (*map(label, metrics), "sent", "uncompressed", "saved"):
        grid.add_column(Text(head), justify="right")
    for run, history in pairs:
        scores = [value(metric, history.last.get(metric)) for metric in metrics]
        totals = run.totals
        about = [Text(_name(run, history)), Text(history.method), run.facts.get("seed", "-"), str(len(history.rounds))]
        grid.add_row(*about, *scores, size(totals.wire), size(totals.raw), times(totals.factor))
    return grid


def _picture(pairs: Sequence[Pair]) -> Figure:
    """Draw the primary metric of the first run over the bytes that were sent, a curve for each run that has it."""
    metric = next((history.metric for _, history in pairs if history.metric), "")
    figure = new_figure(LIGHT, 11, 5)
    axes = figure.add_subplot()
    style_axes(axes, LIGHT, title=f"{label(metric)} over the bytes sent")
    ends, labels = [1.0], []
    for place, (run, history) in enumerate(pairs):
        scores = [entry.metrics.get(metric, math.nan) for entry in history.rounds]
        sent = [max(total, 1) for total in accumulate(entry.totals.wire for entry in history.rounds)]
        colour = LIGHT.series[place % len(LIGHT.series)]
        axes.plot(sent, scores, color=colour, linewidth=1.8, marker="o", markersize=4)
        ends += sent
        if scores and math.isfinite(scores[-1]):
            labels.append((scores[-1], f"{scores[-1]:.1f} {_name(run, history)}", colour))
    bytes_axis(axes, min(ends[1:], default=1), max(ends))
    axes.set_xlabel("sent so far, both directions", color=LIGHT.muted, fontsize=9)
    label_right(axes, LIGHT, labels)
    return figure
