"""A study's plot: one panel per table."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from fedretina.report import LIGHT, Theme, label_right, new_figure, style_axes
from fedretina.study.grid import Grid, Results, Study
from fedretina.study.tables import mean_and_deviation

HEIGHT, BAR = 4.0, 0.22  # inches: height of a panel of lines, and of a bar
Position = tuple[str, str]  # row and column


@dataclass(frozen=True)
class Measured:
    """The first metric of a table's cells: mean and deviation over the seeds, and the paper's number if it is shown."""

    ours: dict[Position, tuple[float, float]]
    paper: dict[Position, float]

    @classmethod
    def of(cls, grid: Grid, results: Results, seeds: Sequence[int], *, published: bool) -> "Measured":
        """Compute them from the results; cells that were not measured are left out."""
        ours = {}
        for position, cell in grid.cells.items():
            if values := cell.values(results, seeds):
                mean, deviation = mean_and_deviation([value[0] for value in values])
                ours[position] = mean, deviation or 0.0
        paper = {position: cell.paper[0] for position, cell in grid.cells.items() if published and cell.paper}
        return cls(ours, paper)


def plot(study: Study, results: Results, seeds: Sequence[int], *, published: bool, theme: Theme = LIGHT) -> Figure:
    """Plot a study's tables side by side.

    Parameters
    ----------
    study, results, seeds
        As for `markdown`.
    published : bool
        Whether the paper's numbers are plotted too, as dotted lines and as diamonds on bars.
    theme : Theme, optional
        Colours. Default: the light theme.

    Returns
    -------
    Figure
        A figure of matplotlib; `to_png` converts it.
    """
    bars = [len(grid.cells) + 0.6 * len(grid.rows) for grid in study.grids if grid.kind == "bars"]
    figure = new_figure(theme, 6.6 * len(study.grids), max([HEIGHT, *(1.3 + BAR * count for count in bars)]))
    for index, grid in enumerate(study.grids, start=1):
        axes = figure.add_subplot(1, len(study.grids), index)
        style_axes(axes, theme, title=grid.title)
        measured = Measured.of(grid, results, seeds, published=published)
        (_lines if grid.kind == "lines" else _bars)(axes, theme, grid, measured)
    return figure


def _lines(axes: Axes, theme: Theme, grid: Grid, measured: Measured) -> None:
    labels = []
    for i, row in enumerate(grid.rows):
        columns = [column for column in grid.numeric_columns if (row, column) in measured.ours]
        if not columns:
            continue
        colour, positions = theme.series[i % len(theme.series)], [grid.numeric_columns[column] for column in columns]
        means, deviations = zip(*(measured.ours[row, column] for column in columns), strict=True)
        axes.errorbar(positions, means, yerr=deviations if any(deviations) else None, capsize=3, color=colour, linewidth=1.8,
                      marker="osD^vPX"[i % 7], markersize=5)  # fmt: skip
        if printed := [(grid.numeric_columns[c], measured.paper[row, c]) for c in columns if (row, c) in measured.paper]:
            axes.plot(*zip(*printed, strict=True), color=colour, linestyle=":", marker="d", markersize=4, linewidth=1)
        labels.append((means[-1], row, colour))
    axes.set_xlabel(grid.axis, color=theme.muted, fontsize=9)
    axes.set_ylabel(grid.metric, color=theme.muted, fontsize=9)
    axes.set_xscale(grid.scale)
    axes.set_xticks(list(grid.numeric_columns.values()), list(grid.numeric_columns))
    axes.xaxis.set_minor_locator(NullLocator())
    if list(grid.numeric_columns.values()) == sorted(grid.numeric_columns.values(), reverse=True):
        axes.invert_xaxis()  # as in the table, from left to right; the labels are at the last column
    label_right(axes, theme, labels)


def _bars(axes: Axes, theme: Theme, grid: Grid, measured: Measured) -> None:
    """Plot rows from top to bottom, one bar per column."""
    rows, columns = grid.rows, grid.columns
    thick, colours = 0.8 / len(columns), [theme.series[j % len(theme.series)] for j in range(len(columns))]
    for (row, column), (mean, deviation) in measured.ours.items():
        j = columns.index(column)
        y = rows.index(row) - 0.4 + (j + 0.5) * thick
        axes.barh(y, mean, 0.9 * thick, color=colours[j], xerr=deviation or None, ecolor=theme.ink, capsize=2)
        axes.annotate(f"{mean:.1f}", (0, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5,
                      color=theme.paper if mean > 0.08 * _top(measured) else theme.ink)  # fmt: skip
        if (row, column) in measured.paper:
            axes.plot(measured.paper[row, column], y, marker="d", markersize=5, color=theme.ink)
    axes.set_yticks(range(len(rows)), rows, fontsize=9, color=theme.ink)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.05 * _top(measured))
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    axes.set_xlabel(grid.metric, color=theme.muted, fontsize=9)
    if len(columns) > 1:
        handles = [axes.barh(0, 0, color=colour, label=name) for colour, name in zip(colours, columns, strict=True)]
        axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8,
                    labelcolor=theme.muted, borderaxespad=0)  # fmt: skip


def _top(measured: Measured) -> float:
    return max([mean + deviation for mean, deviation in measured.ours.values()] + list(measured.paper.values()) + [1e-6])
