"""A study's plot: a panel a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from fedretina.report import LIGHT, Theme, label_right, new_figure, style_axes
from fedretina.study.grid import Grid, Results, Study
from fedretina.study.tables import mean_and_deviation

HEIGHT, BAR = 4.0, 0.22  # inches: of a panel of lines; what a bar takes
Place = tuple[str, str]


@dataclass(frozen=True)
class Measured:
    """A table's first metrics by row and column: mean and spread over the seeds; and the paper's, where they are shown."""

    ours: dict[Place, tuple[float, float]]
    paper: dict[Place, float]

    @classmethod
    def of(cls, grid: Grid, results: Results, seeds: Sequence[int], *, published: bool) -> "Measured":
        """Take them out of the results; what is not measured is left out."""
        ours = {}
        for place, point in grid.points.items():
            if values := point.values(results, seeds):
                mean, spread = mean_and_deviation([value[0] for value in values])
                ours[place] = mean, spread or 0.0
        paper = {place: point.paper[0] for place, point in grid.points.items() if published and point.paper}
        return cls(ours, paper)


def plot(study: Study, results: Results, seeds: Sequence[int], *, published: bool, theme: Theme = LIGHT) -> Figure:
    """Draw a study's tables side by side.

    Parameters
    ----------
    study, results, seeds
        As for `markdown`.
    published : bool
        Whether the paper's numbers are drawn too: dotted lines, and diamonds on bars.
    theme : Theme, optional
        Colours.

    Returns
    -------
    Figure
        Of matplotlib; `fedretina.report.to_png` writes it.
    """
    bars = [len(grid.points) + 0.6 * len(grid.rows) for grid in study.grids if grid.kind == "bars"]
    figure = new_figure(theme, 6.6 * len(study.grids), max([HEIGHT, *(1.3 + BAR * count for count in bars)]))
    for place, grid in enumerate(study.grids, start=1):
        axes = figure.add_subplot(1, len(study.grids), place)
        style_axes(axes, theme, title=grid.title)
        measured = Measured.of(grid, results, seeds, published=published)
        (_lines if grid.kind == "lines" else _bars)(axes, theme, grid, measured)
    return figure


def _lines(axes: Axes, theme: Theme, grid: Grid, measured: Measured) -> None:
    labels = []
    for i, row in enumerate(grid.rows):
        there = [column for column in grid.places if (row, column) in measured.ours]
        if not there:
            continue
        colour, places = theme.series[i % len(theme.series)], [grid.places[column] for column in there]
        means, spreads = zip(*(measured.ours[row, column] for column in there), strict=True)
        axes.errorbar(places, means, yerr=spreads if any(spreads) else None, capsize=3, color=colour, linewidth=1.8,
                      marker="osD^vPX"[i % 7], markersize=5)  # fmt: skip
        if printed := [(grid.places[c], measured.paper[row, c]) for c in there if (row, c) in measured.paper]:
            axes.plot(*zip(*printed, strict=True), color=colour, linestyle=":", marker="d", markersize=4, linewidth=1)
        labels.append((means[-1], row, colour))
    axes.set_xlabel(grid.axis, color=theme.muted, fontsize=9)
    axes.set_ylabel(grid.measure, color=theme.muted, fontsize=9)
    axes.set_xscale(grid.scale)
    axes.set_xticks(list(grid.places.values()), list(grid.places))
    axes.xaxis.set_minor_locator(NullLocator())
    if list(grid.places.values()) == sorted(grid.places.values(), reverse=True):
        axes.invert_xaxis()  # from left to right as in the table: the names stand at the last column
    label_right(axes, theme, labels)


def _bars(axes: Axes, theme: Theme, grid: Grid, measured: Measured) -> None:
    """Draw rows from top to bottom, a bar a column."""
    rows, columns = grid.rows, grid.columns
    thick, colours = 0.8 / len(columns), [theme.series[j % len(theme.series)] for j in range(len(columns))]
    for (row, column), (mean, spread) in measured.ours.items():
        j = columns.index(column)
        y = rows.index(row) - 0.4 + (j + 0.5) * thick
        axes.barh(y, mean, 0.9 * thick, color=colours[j], xerr=spread or None, ecolor=theme.ink, capsize=2)
        axes.annotate(f"{mean:.1f}", (0, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5,
                      color=theme.paper if mean > 0.08 * _top(measured) else theme.ink)  # fmt: skip
        if (row, column) in measured.paper:
            axes.plot(measured.paper[row, column], y, marker="d", markersize=5, color=theme.ink)
    axes.set_yticks(range(len(rows)), rows, fontsize=9, color=theme.ink)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.05 * _top(measured))
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    axes.set_xlabel(grid.measure, color=theme.muted, fontsize=9)
    if len(columns) > 1:
        handles = [axes.barh(0, 0, color=colour, label=name) for colour, name in zip(colours, columns, strict=True)]
        axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8,
                    labelcolor=theme.muted, borderaxespad=0)  # fmt: skip


def _top(measured: Measured) -> float:
    return max([mean + spread for mean, spread in measured.ours.values()] + list(measured.paper.values()) + [1e-6])
