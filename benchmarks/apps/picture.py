"""The picture: for each app, how far DoM's metric is from plain Flower's, round by round."""

from math import ceil

import numpy as np

from apps.examples import APPS
from apps.tables import Measured, differences, finished
from fedretina.report import LIGHT, new_figure, to_png

COLUMNS = 4
_LINE, _SEED = LIGHT.series[0], LIGHT.muted


def picture(measured: Measured) -> bytes:
    """Draw a small plot for each app: the seeds, their mean, and a band of a standard deviation to both sides."""
    shown = {name: cells for name, cells in measured.items() if finished(cells)}
    rows = ceil(len(shown) / COLUMNS)
    figure = new_figure(LIGHT, 3.1 * COLUMNS, 2.1 * rows)
    places = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, (name, cells) in zip(places, shown.items(), strict=False):
        gaps = differences(cells)
        rounds = np.arange(1, gaps.shape[1] + 1)
        mean, deviation = gaps.mean(0), gaps.std(0, ddof=1) if len(gaps) > 1 else np.zeros(len(rounds))
        axes.axhline(0, color=LIGHT.ink, lw=0.8)
        axes.plot(rounds, gaps.T, color=_SEED, lw=0.6, alpha=0.5)
        axes.fill_between(rounds, mean - deviation, mean + deviation, color=_LINE, alpha=0.2, lw=0)
        axes.plot(rounds, mean, color=_LINE, lw=1.8)
        axes.set_title(APPS[name].title, loc="left", fontsize=8.5, color=LIGHT.ink, fontweight="bold")
        axes.set_ylabel(APPS[name].metric, fontsize=7.5, color=LIGHT.muted)
        axes.tick_params(colors=LIGHT.muted, labelsize=7.5, length=0)
        axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
        axes.grid(axis="y", color=LIGHT.grid, lw=0.8)
        axes.set_axisbelow(True)
        if not np.abs(gaps).max() > 1e-9:
            axes.set_ylim(-1, 1)
            axes.annotate("equal in all rounds", (0.5, 0.62), xycoords="axes fraction", ha="center", fontsize=8, color=_SEED)
    for axes in places[len(shown) :]:
        axes.set_visible(False)
    for axes in places[max(0, len(shown) - COLUMNS) : len(shown)]:
        axes.set_xlabel("round", fontsize=8, color=LIGHT.muted)
    return to_png(figure)
