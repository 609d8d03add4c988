"""What messages weigh: by kind and direction, and round by round."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fedretina.ledger import DIRECTIONS, KINDS, Row, by_round, totals
from fedretina.report.style import Theme, bytes_axis, new_figure, quiet, short_size
from fedretina.report.text import times

ARROWS = {"down": "\N{DOWNWARDS ARROW}", "up": "\N{UPWARDS ARROW}"}
_COLOURS = dict(zip(KINDS, (0, 1, 2, 3, 4, 5, 6, 6), strict=True))
_SAME = 1.05  # a smaller factor is none
_MANY_ROUNDS = 16  # more than this, and arrows under each bar do not fit


@dataclass(frozen=True)
class Group:
    """The messages of one kind and direction: how many, the median sizes, and the bytes of all."""

    kind: str
    direction: str
    count: int
    raw: float
    wire: float
    raw_sum: int
    wire_sum: int

    @property
    def factor(self) -> float:
        """How many times less than plain Flower, over all of them."""
        return self.raw_sum / self.wire_sum if self.wire_sum else 1.0


def group(rows: Sequence[Row]) -> list[Group]:
    """Group rows by direction and kind, down first, kinds in the ledger's order. Failures that sent nothing are left out."""
    sent = [row for row in rows if row.wire_bytes or row.raw_bytes or not row.error]
    parts = {(d, k): [row for row in sent if (row.direction, row.kind) == (d, k)] for d in DIRECTIONS for k in KINDS}
    return [_group(kind, direction, part) for (direction, kind), part in parts.items() if part]


def _group(kind: str, direction: str, rows: Sequence[Row]) -> Group:
    sums = totals(rows)
    raw, wire = median(row.raw_bytes for row in rows), median(row.wire_bytes for row in rows)
    return Group(kind, direction, len(rows), raw, wire, sums.raw, sums.wire)


def plot_messages(run_rows: Sequence[Row], theme: Theme) -> Figure:
    """Plot the median message of each kind, raw against wire; beside it the wire bytes of each round by kind."""
    groups = group(run_rows)
    figure = new_figure(theme, 10.4, max(3.6, 1.5 + 0.42 * len(groups)))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _plot_groups(left, theme, groups)
    _plot_rounds(right, theme, run_rows)
    return figure


def _plot_groups(axes: Axes, theme: Theme, groups: Sequence[Group]) -> None:
    quiet(axes, theme, title="Median message: plain Flower and on the wire")
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    for place, this in enumerate(groups):
        colour = theme.series[_COLOURS[this.kind]]
        axes.plot([max(this.raw, 1), max(this.wire, 1)], [place, place], color=colour, linewidth=2, alpha=0.45)
        axes.plot(max(this.raw, 1), place, "o", color=colour, markersize=7, markerfacecolor=theme.paper)
        axes.plot(max(this.wire, 1), place, "o", color=colour, markersize=7)
        axes.annotate(
            f"{_compared(this.factor)}, {this.count} sent",
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            color=theme.muted,
            fontsize=9,
            va="center",
            annotation_clip=False,
        )
    axes.set_yticks(range(len(groups)), [f"{this.kind} {ARROWS[this.direction]}" for this in groups])
    for tick, this in zip(axes.get_yticklabels(), groups, strict=True):
        tick.set_color(theme.series[_COLOURS[this.kind]])
    axes.set_ylim(len(groups) - 0.4, -0.6)
    sizes = [number for this in groups for number in (this.raw, this.wire)]
    bytes_axis(axes, min(sizes), max(sizes))
    axes.set_xlabel("bytes per message: filled on the wire, hollow plain Flower", color=theme.muted, fontsize=9)


def _compared(factor: float) -> str:
    if factor < 1 / _SAME:
        return f"{times(1 / factor)} more"
    return f"{times(factor)} less" if factor >= _SAME else "as plain"


def _plot_rounds(axes: Axes, theme: Theme, rows: Sequence[Row]) -> None:
    quiet(axes, theme, title="On the wire per round")
    rounds = by_round(rows)
    top = 0
    for number, part in rounds.items():
        for side, direction in ((-0.2, "down"), (0.2, "up")):
            bottom = _stack(axes, theme, number + side, [row for row in part if row.direction == direction])
            top = max(top, bottom)
            if len(rounds) <= _MANY_ROUNDS and bottom:
                axes.annotate(
                    ARROWS[direction],
                    (number + side, bottom),
                    xytext=(0, 2),
                    textcoords="offset points",
                    color=theme.muted,
                    fontsize=9,
                    ha="center",
                )
    axes.set_ylim(0, 1.12 * top or 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: short_size(count) if count else "0"))
    axes.set_xlabel("round", color=theme.muted, fontsize=9)


def _stack(axes: Axes, theme: Theme, x: float, rows: Sequence[Row]) -> int:
    bottom = 0
    for kind, index in _COLOURS.items():
        if height := sum(row.wire_bytes for row in rows if row.kind == kind):
            axes.bar(x, height, 0.36, bottom, color=theme.series[index], edgecolor=theme.paper, linewidth=0.8)
            bottom += height
    return bottom
