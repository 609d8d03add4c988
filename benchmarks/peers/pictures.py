"""The picture of the page: score over the number of sources, by recipe."""

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedretina.report import LIGHT, label_right, new_figure, style_axes
from fedretina.study import Setting, mean_and_error
from peers.cells import MAIN, RECIPES, SHARES, counts, of_count
from peers.numbers import Scores
from peers.tables import of_share, percent, whole


def by_count(data: Sequence[tuple[str, Scores, Sequence[Setting]]]) -> Figure:
    """Draw a panel for each data and share of labels; bars are standard errors over cells."""
    figure = new_figure(LIGHT, 6.4 * len(SHARES), 3.9 * len(data))
    for row, (name, scores, every) in enumerate(data):
        for column, share in enumerate(SHARES):
            axes = figure.add_subplot(len(data), len(SHARES), row * len(SHARES) + column + 1)
            style_axes(axes, LIGHT, title=f"{name}, {percent(share)} labelled")
            _panel(axes, scores, of_share(every, share))
    return figure


def _panel(axes: Axes, scores: Scores, some: Sequence[Setting]) -> None:
    labels = []
    if values := scores.values(replace(base, method="self") for base in some):
        mean, error = mean_and_error(values)
        axes.errorbar([0], [mean], yerr=[error or 0.0], color=LIGHT.muted, marker="P", capsize=3, linestyle="none")
        words = {"color": LIGHT.muted, "fontsize": 9, "va": "center"}
        axes.annotate("self-training\nfrom scratch", (0, mean), xytext=(8, 0), textcoords="offset points", **words)
    for index, method in enumerate(MAIN):
        points = []
        for count in counts(some[0], method):
            if values := scores.values(of_count(base, method, count) for base in whole(scores, some, method)):
                mean, error = mean_and_error(values)
                points.append((count, mean, error or 0.0))
        if points:
            x, means, errors = zip(*points, strict=True)
            colour = LIGHT.series[index % len(LIGHT.series)]
            shifted = [count + 0.03 * (index - 2) for count in x]
            axes.errorbar(
                shifted, means, yerr=errors, color=colour, marker="osD^v"[index], markersize=5, capsize=3, linewidth=1.8
            )
            labels.append((means[-1], RECIPES[method].partition(":")[0].removesuffix(" from the best source"), colour))
    axes.set_xlabel("sources", color=LIGHT.muted, fontsize=9)
    axes.set_ylabel(f"{scores.metric} in %", color=LIGHT.muted, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    label_right(axes, LIGHT, labels)
