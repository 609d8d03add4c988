"""The pictures of the page: accuracy over bytes, and the cost of a message over the number of nodes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from city_scale.cells import TRAINING
from city_scale.found import Cells, accuracy, best_accuracy, bytes_after, peer_bytes
from city_scale.policies import BUDGETS
from city_scale.scaling import CODECS
from city_scale.tables import CHOOSING, ROWS, message_cost
from fedretina.report import LIGHT, new_figure, size, style_axes, to_png
from fedretina.study import mean_and_error

POLICIES = ("oracle", "nearest", "score", "bound", "random", "all")


def accuracy_over_bytes(cells: Cells) -> bytes:
    """Draw accuracy over bytes turn by turn, where thin lines are seeds, and the regret over bytes by budget."""
    figure = new_figure(LIGHT, 12, 4.5)
    left, right = figure.subplots(1, 2)
    style_axes(left, LIGHT, title="Accuracy, %, over the bytes that a domain has got, after each turn")
    style_axes(right, LIGHT, title="Regret, points, over the bytes that a domain has got, by budget")
    colours = dict(zip(POLICIES, LIGHT.series, strict=False))
    turns = range(1, TRAINING.rounds + 1)
    for policy, colour in colours.items():
        key = policy, ROWS[policy], "", False, TRAINING.rounds
        lines = [
            [[of(turn)(cells.by_key[*key, seed]) for turn in turns] for of in (bytes_after, accuracy)]
            for seed in cells.seeds(*key)
        ]
        if not lines:
            continue
        for line in lines:
            left.plot(*line, color=colour, linewidth=0.6, alpha=0.4)
        left.plot(*np.mean(lines, axis=0), marker="o", color=colour, label=policy)
    for policy in CHOOSING:
        points = [
            (np.mean([*cells.rows(peer_bytes, policy, budget).values()]), *mean_and_error(lost))
            for budget in sorted(BUDGETS)
            if len(lost := cells.paired(best_accuracy, ("oracle", budget, ""), (policy, budget, ""))) > 1
        ]
        if points:
            places, means, errors = zip(*points, strict=True)
            right.errorbar(places, means, errors, marker="o", capsize=3, color=colours[policy], label=policy)
    for axes in (left, right):
        axes.set_xscale("log")
        _plain_ticks(axes.xaxis, size)
    left.legend(frameon=False)
    return to_png(figure)


def cost_over_nodes(found: Sequence[dict[str, Any]]) -> bytes:
    """Draw processor time a message, bytes a message, and the server's memory over the number of nodes, at 1 MB."""
    figure = new_figure(LIGHT, 11, 3.6)
    titles = {"cpu": "processor ms a message", "bytes": "bytes a message, both ways", "rss": "server's memory, GB"}
    for axes, (what, title) in zip(figure.subplots(1, len(titles)), titles.items(), strict=True):
        style_axes(axes, LIGHT, title=title)
        for codec, colour in zip(CODECS, (LIGHT.muted, LIGHT.series[0]), strict=True):
            runs = [one for one in found if one["codec"] == codec and one["megabytes"] == 1 and one["rounds"]]
            runs.sort(key=lambda one: one["nodes"])
            axes.plot(
                [one["nodes"] for one in runs], [_value(one, what) for one in runs], "o-", color=colour, label=CODECS[codec]
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain_ticks(axes.xaxis, "{:,.0f}".format, at=(1,))
        _plain_ticks(axes.yaxis, size if what == "bytes" else "{:g}".format)
        axes.set_xlabel("nodes")
    axes.legend(frameon=False)
    return to_png(figure)


def _plain_ticks(axis: Axis, text: Callable[[float], str], at: tuple[int, ...] = (1, 2, 5)) -> None:
    """Write an axis' logarithmic ticks, at these multiples of powers of ten, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=at))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def _value(run: dict[str, Any], what: str) -> float:
    cost = message_cost(run)
    if what == "rss":
        return float(run["rss"]) / 1e9
    return cost["server_cpu"] + cost["node_cpu"] if what == "cpu" else cost["down"] + cost["up"]
