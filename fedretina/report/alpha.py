"""The weight of each source, round by round."""

import math

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedretina.report.style import Theme, label_right, new_figure, style_axes
from fedretina.report.text import by_weight
from fedretina.runs import ModelHistory


def plot_alpha(history: ModelHistory, theme: Theme) -> Figure:
    """Plot alpha per source. The sources with the largest last alpha have colours and names; the others are grey."""
    rounds = [entry for entry in history.rounds if entry.alpha]
    seen = list(dict.fromkeys(source for entry in rounds for source in entry.alpha))
    last = by_weight({source: rounds[-1].alpha.get(source, 0.0) for source in seen})
    figure = new_figure(theme, 10.4, 3.4)
    axes = figure.add_subplot()
    style_axes(axes, theme, title="Weight of each source (alpha)")
    labels = []
    for place, (source, weight) in reversed(list(enumerate(last))):
        named = place < len(theme.series)
        weights = [entry.alpha.get(source, math.nan) for entry in rounds]
        axes.plot(
            [entry.number for entry in rounds],
            weights,
            color=theme.series[place] if named else theme.grid,
            linewidth=2.2 if named else 1,
            marker="osD^vPX"[place] if named else "",
            markersize=5,
            clip_on=False,
            zorder=3 if named else 2,
        )
        if named:
            labels.append((weight, f"{weight:.2f} {source}", theme.series[place]))
    axes.set_ylim(0, max(1.05 * max(weight for entry in rounds for weight in entry.alpha.values()), 0.1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("round", color=theme.muted, fontsize=9)
    label_right(axes, theme, labels)
    return figure
