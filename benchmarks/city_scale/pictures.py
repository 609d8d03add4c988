"""The pictures of the page: accuracy over bytes, and the cost of a message over the number of nodes."""

from collections.abc import Sequence
from typing import Any

from city_scale.found import Cells, best_accuracy, peer_bytes
from city_scale.scaling import CODECS
from city_scale.tables import ROWS, message_cost
from fedretina.report import LIGHT, new_figure, style_axes, to_png

POLICIES = ("oracle", "nearest", "score", "bound", "random", "all")


def accuracy_over_bytes(cells: Cells) -> bytes:
    """Draw the mean accuracy after the last turn over a domain's bytes; a point for each seed, a line of means."""
    figure = new_figure(LIGHT, 8, 4.5)
    axes = figure.add_subplot()
    style_axes(axes, LIGHT, title="Accuracy after the last turn, %, over the bytes that a domain got")
    for policy, colour in zip(POLICIES, LIGHT.series, strict=False):
        means = []
        for budget in sorted({budget for name, budget in ROWS if name == policy}):
            points = cells.rows(peer_bytes, policy, budget), cells.rows(best_accuracy, policy, budget)
            if not points[0]:
                continue
            axes.scatter(list(points[0].values()), list(points[1].values()), s=10, color=colour, alpha=0.5)
            means.append([sum(each.values()) / len(each) for each in points])
        if means:
            axes.plot(*zip(*means, strict=True), marker="o", color=colour, label=policy)
    axes.set_xscale("log")
    axes.set_xlabel("bytes")
    axes.legend(frameon=False)
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
        axes.set_xlabel("nodes")
    axes.legend(frameon=False)
    return to_png(figure)


def _value(run: dict[str, Any], what: str) -> float:
    cost = message_cost(run)
    if what == "rss":
        return float(run["rss"]) / 1e9
    return cost["server_cpu"] + cost["node_cpu"] if what == "cpu" else cost["down"] + cost["up"]
