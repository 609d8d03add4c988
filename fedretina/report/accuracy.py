"""Plot the accuracy of each round against the bytes on the wire."""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedretina.report.style import Theme, bytes_axis, label_right, new_figure, outlined, style_axes
from fedretina.report.text import RESULTS, label, size, times, value
from fedretina.runs import ModelHistory

_LINES = {"alone": (3, ":"), "finetune": (1, "--"), "full": (2, "-.")}
_LEAST_SAVING = 1.5  # with a smaller factor, the two curves lie too close together
_WORDS = 0.16  # height of two lines of words and the gap before them, as a part of the y axis
_LEAST_SPAN = 2.0  # points on the y axis; a smaller span makes noise look like a result


def plot_accuracy(history: ModelHistory, theme: Theme) -> Figure:
    """Plot the first two metrics after each round, over the bytes sent until then.

    The other results are horizontal lines. If the saving is large enough, a second curve shows the same accuracies over
    the bytes of the same models, uncompressed: nobody ran it.
    """
    metrics = [name for name in history.metrics if any(name in entry.metrics for entry in history.rounds)][:2]
    figure = new_figure(theme, 5.2 * len(metrics), 3.9)
    for place, metric in enumerate(metrics, start=1):
        axes = figure.add_subplot(1, len(metrics), place)
        style_axes(axes, theme, title=label(metric) + (" in %" if value(metric, 0.0).endswith("%") else ""))
        _plot_metric(axes, theme, history, metric)
    return figure


def _plot_metric(axes: Axes, theme: Theme, history: ModelHistory, metric: str) -> None:
    scores = [entry.metrics.get(metric, math.nan) for entry in history.rounds]
    wire = [max(sent, 1) for sent in accumulate(entry.totals.wire for entry in history.rounds)]
    raw = [max(sent, 1) for sent in accumulate(entry.totals.raw for entry in history.rounds)]
    saves = raw[-1] >= _LEAST_SAVING * wire[-1]
    axes.plot(wire, scores, color=theme.series[0], linewidth=2.2, marker="o", markersize=5, zorder=4)
    if saves:
        axes.plot(raw, scores, color=theme.muted, linewidth=1.2, marker="o", markersize=3, linestyle="--")
    bytes_axis(axes, wire[0], raw[-1] if saves else wire[-1])
    axes.set_xlabel("sent so far, both directions", color=theme.muted, fontsize=9)
    lines = _plot_lines(axes, theme, history, metric)
    _set_limits(axes, [*scores, *(y for y, _, _ in lines)])
    label_right(axes, theme, lines)
    if math.isfinite(scores[-1]):
        place = place_words(scores, [y for y, _, _ in lines], axes.get_ylim())
        _name_curve(axes, theme, f"{history.method} {scores[-1]:.1f}\n{size(wire[-1])}", wire[-1], place)
        if saves:
            _mark_saving(axes, theme, (wire[-1], raw[-1]), scores[-1], place)


def _plot_lines(axes: Axes, theme: Theme, history: ModelHistory, metric: str) -> list[tuple[float, str, str]]:
    labels = []
    for key, (colour, dashes) in _LINES.items():
        result = history.results.get(key)
        score = result.metrics.get(metric) if result else None
        if result is not None and score is not None and math.isfinite(score):
            axes.axhline(score, color=theme.series[colour], linewidth=1.4, linestyle=dashes)
            name = f"{result.source}, fine-tuned" if result.source else RESULTS[result.key].lower()
            labels.append((score, f"{value(metric, score, unit=False)} {name}", theme.series[colour]))
    return labels


def _set_limits(axes: Axes, scores: Sequence[float]) -> None:
    finite = [score for score in scores if math.isfinite(score)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = max(0.12 * (high - low), (_LEAST_SPAN - (high - low)) / 2)
    axes.set_ylim(low - room, high + room)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def place_words(scores: Sequence[float], lines: Sequence[float], limits: tuple[float, float]) -> tuple[float, bool]:
    """Choose the place of words about a curve: over it or, if a horizontal line crosses that place, under it.

    Returns
    -------
    (float, bool)
        The y next to the words, and whether the words are over it.

    Examples
    --------
    >>> place_words([40, 47, 46], [30, 60], (0, 100)), place_words([40, 47, 46], [52], (0, 100))
    ((47, True), (40, False))
    """
    low, high = limits
    finite, room = [score for score in scores if math.isfinite(score)], _WORDS * (high - low)
    top, least = max(finite), min(finite)
    over_is_crossed = any(top <= y <= top + room for y in lines)
    under_is_crossed = any(least - room <= y <= least for y in (low, *lines))
    return (top, True) if under_is_crossed or not over_is_crossed else (least, False)


def _name_curve(axes: Axes, theme: Theme, words: str, sent: float, place: tuple[float, bool]) -> None:
    _write(axes, theme, words, sent, place, color=theme.series[0], fontweight="bold", ha="right")


def _mark_saving(axes: Axes, theme: Theme, sent: tuple[float, float], score: float, place: tuple[float, bool]) -> None:
    wire, raw = sent
    arrow = {"arrowstyle": "->", "color": theme.series[0], "shrinkA": 4, "shrinkB": 6}
    axes.annotate("", (wire, score), xytext=(raw, score), arrowprops=arrow, zorder=5)
    words = f"{times(raw / wire)} less than the\nsame models, uncompressed"
    # To the right of the curve's name: that ends at the last point.
    _write(axes, theme, words, wire**0.45 * raw**0.55, place, color=theme.muted, ha="center")


def _write(axes: Axes, theme: Theme, words: str, x: float, place: tuple[float, bool], **how: Any) -> None:
    y, over = place
    axes.annotate(
        words,
        (x, y),
        xytext=(0, 9 if over else -9),
        textcoords="offset points",
        fontsize=9,
        va="bottom" if over else "top",
        path_effects=outlined(theme),
        zorder=6,
        **how,
    )
