"""How the plots look: two themes, colours that colour-blind people can tell apart (Okabe and Ito), plain axes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from fedretina.report.text import size

DPI = 200


@dataclass(frozen=True)
class Theme:
    """Colours of one theme: `ink` for words, `muted` for what is secondary, frames, `series` for data."""

    paper: str
    ink: str
    muted: str
    grid: str
    right: str
    wrong: str
    series: Sequence[str]


LIGHT = Theme(
    paper="#ffffff",
    ink="#1b2330",
    muted="#69717f",
    grid="#e6e8ec",
    right="#00815f",
    wrong="#cf3a1f",
    series=("#0072b2", "#c8500a", "#00815f", "#a8558a", "#2f9fd8", "#b98200", "#5b5b66"),
)
DARK = Theme(
    paper="#171b22",
    ink="#e8eaee",
    muted="#9aa3b1",
    grid="#2a303a",
    right="#2fc79b",
    wrong="#ff7657",
    series=("#56b4e9", "#f0814a", "#2fc79b", "#dd94bf", "#9bd4f5", "#e8b93c", "#b4b4c0"),
)


def new_figure(theme: Theme, width: float, height: float) -> Figure:
    """Return an empty figure (inches), drawn by Agg, without pyplot's global state."""
    figure = Figure(figsize=(width, height), facecolor=theme.paper)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08, wspace=0.04)
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure) -> bytes:
    """Draw a figure: the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor=figure.get_facecolor(), metadata={"Software": ""})
    return buffer.getvalue()


def style_axes(axes: Axes, theme: Theme, *, title: str) -> None:
    """Take away what is no information: three of four spines, the ticks; put the title to the left."""
    axes.set_facecolor(theme.paper)
    axes.set_title(title, loc="left", color=theme.ink, fontsize=11, fontweight="bold", pad=12)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(theme.muted)
    axes.tick_params(colors=theme.muted, labelsize=9, length=0)
    axes.grid(axis="y", color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)


def bytes_axis(axes: Axes, low: float, high: float) -> None:
    """Make the x axis one of bytes, logarithmic, with a tick for each 1, 2 and 5."""
    axes.set_xscale("log")
    axes.set_xlim(max(low, 1) / 1.25, max(high, low, 2) * 1.25)
    decades = np.log10(max(high, 1) / max(low, 1))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.2 else (1.0,), numticks=20))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: short_size(count)))


def short_size(count: float) -> str:
    """Write a round number of bytes without the zeros after the point: `2 MB`, `0.5 MB`."""
    number, unit = size(count).split()
    return f"{float(number):g} {unit}"


def outlined(theme: Theme) -> list[AbstractPathEffect]:
    """Return the effect that keeps words legible where they cross a line."""
    return [withStroke(linewidth=3, foreground=theme.paper)]


def label_right(axes: Axes, theme: Theme, labels: Sequence[tuple[float, str, str]]) -> None:
    """Write labels (y, words, colour) to the right of the axes, each beside its y, without overlap."""
    low, high = axes.get_ylim()
    places = spread([y for y, _, _ in labels], gap=0.075 * (high - low))
    for place, (_, words, colour) in zip(places, labels, strict=True):
        axes.annotate(
            words,
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            color=colour,
            fontsize=9,
            va="center",
            annotation_clip=False,
        )


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Move labels apart, as little as needed, so that neighbours are at least `gap` apart; the order stays.

    Labels that collide form a block, which is centred on where its labels wanted to be.

    Examples
    --------
    >>> spread([1.0, 1.0, 5.0], gap=2.0)
    [0.0, 2.0, 5.0]
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    blocks: list[list[float]] = []  # each: sum of (wanted - offset in the block), and number of labels
    for index in order:
        blocks.append([wanted[index], 1])
        while len(blocks) > 1 and _start(blocks[-1]) < _start(blocks[-2]) + blocks[-2][1] * gap:
            total, count = blocks.pop()
            blocks[-1][0] += total - count * blocks[-1][1] * gap
            blocks[-1][1] += count
    places = [_start(block) + step * gap for block in blocks for step in range(int(block[1]))]
    return [place for _, place in sorted(zip(order, places, strict=True))]


def _start(block: Sequence[float]) -> float:
    return block[0] / block[1]
