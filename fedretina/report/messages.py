"""Plot the bytes of messages: by kind and direction, and round by round."""

from collections import Counter
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fedretina.report.style import Theme, bytes_axis, new_figure, short_size, style_axes
from fedretina.report.text import times
from fedretina.runs import MessageGroup, Run

ARROWS = {"down": "\N{DOWNWARDS ARROW}", "up": "\N{UPWARDS ARROW}"}
_COLOURS = {"keyframe": 0, "delta": 1, "chain": 2, "skip": 3, "lossless": 4, "raw": 5, "control": 6, "none": 6}
_SAME = 1.05  # a smaller factor counts as equal
_MANY_ROUNDS = 16  # with more rounds, arrows over the bars overlap


def plot_messages(run: Run, theme: Theme) -> Figure:
    """Plot the median message of each kind, raw against wire, and the wire bytes of each round by kind."""
    groups = run.message_groups
    figure = new_figure(theme, 10.4, max(3.6, 1.5 + 0.42 * len(groups)))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _plot_groups(left, theme, groups)
    _plot_rounds(right, theme, run.wire_bytes)
    return figure


def _plot_groups(axes: Axes, theme: Theme, groups: Sequence[MessageGroup]) -> None:
    style_axes(axes, theme, title="Median message: uncompressed and on the wire")
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
    axes.set_xlabel("bytes per message: filled on the wire, hollow uncompressed", color=theme.muted, fontsize=9)


def _compared(factor: float) -> str:
    if factor < 1 / _SAME:
        return f"{times(1 / factor)} more"
    return f"{times(factor)} less" if factor >= _SAME else "as uncompressed"


def _plot_rounds(axes: Axes, theme: Theme, sums: Counter[tuple[int, str, str]]) -> None:
    """Plot a bar for each round and direction; `sums` has the bytes by round, direction and kind."""
    style_axes(axes, theme, title="On the wire per round")
    rounds = sorted({number for number, _, _ in sums})
    highest = 0
    for number in rounds:
        for side, direction in ((-0.2, "down"), (0.2, "up")):
            parts = {kind: sums[number, direction, kind] for kind in _COLOURS}
            height = _stack(axes, theme, number + side, parts)
            highest = max(highest, height)
            if len(rounds) <= _MANY_ROUNDS and height:
                _draw_arrow(axes, theme, direction, (number + side, height))
    axes.set_ylim(0, 1.12 * highest or 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: short_size(count) if count else "0"))
    axes.set_xlabel("round", color=theme.muted, fontsize=9)


def _draw_arrow(axes: Axes, theme: Theme, direction: str, tip: tuple[float, float]) -> None:
    axes.annotate(
        ARROWS[direction],
        tip,
        xytext=(0, 2),
        textcoords="offset points",
        color=theme.muted,
        fontsize=9,
        ha="center",
    )


def _stack(axes: Axes, theme: Theme, x: float, parts: Mapping[str, int]) -> int:
    """Draw the bytes of each kind on top of each other, and return their sum."""
    bottom = 0
    for kind, height in parts.items():
        if height:
            axes.bar(x, height, 0.36, bottom, color=theme.series[_COLOURS[kind]], edgecolor=theme.paper, linewidth=0.8)
            bottom += height
    return bottom
