"""The plots by loss: bits against error and against the improvement lost; federated training."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from codec.loss.federated import Training
from codec.loss.sweep import Judged, LossPoint
from codec.plots import LIGHT, name_points, new_figure, set_ticks, style_axes, to_png

LEAST = 1e-3  # of the improvement: what is below is drawn there
LEAST_ABOVE = 3e-4  # nats, the same for federated training
_BLUE, _ORANGE, _GREEN, _PINK, _SKY, _GOLD, _GREY = LIGHT.series
_CURVES = {  # family: colour, line
    "DoM small, one step": (_BLUE, "-"),
    "DoM small, one step, vectors too": (_BLUE, "--"),
    "DoM balanced, one step": (_SKY, "-"),
    "DoM small, equal errors": (_BLUE, ":"),
    "DoM balanced, equal errors": (_SKY, ":"),
    "SparseLoCo": (_ORANGE, "-"),
    "STC": (_GREEN, "-"),
    "top-k": (_GREEN, "--"),
    "PowerSGD": (_PINK, "-"),
    "QSGD": (_PINK, "--"),
    "NNCodec smallest": (_GOLD, "-"),
    "blockwise int8": (_GREY, "--"),
}
_CHANNELS = {  # family, by how names begin: colour, line
    "DoM rotated": (_BLUE, "-"),
    "DoM one step": (_SKY, "-"),
    "DoM stochastic": (_SKY, "--"),
    "DoM budget": (_BLUE, ":"),
    "SparseLoCo": (_ORANGE, "-"),
    "STC": (_GREEN, "-"),
    "PowerSGD": (_PINK, "-"),
}
_ALONE = ("bf16", "int8", "nf4", "sign")
_BITS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


def loss_plot(judged: Judged) -> bytes:
    """Draw one vector: bits against error, and against the improvement lost."""
    figure = new_figure(LIGHT, 13.5, 5.6)
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        set_ticks(axes, "x", _BITS)
        axes.set_xlim(0.008, 45)
        axes.set_xlabel("bits per weight", color=LIGHT.muted, fontsize=9)
    _draw(left, [(p, p.error) for p in judged.points if p.error > 0])
    _draw(right, [(p, max(p.lost, LEAST)) for p in judged.points])
    style_axes(left, LIGHT, title=f"{judged.name}: relative error ‖d - d̂‖ / ‖d‖")
    style_axes(right, LIGHT, title="share of the loss improvement lost")
    set_ticks(left, "y", (0.001, 0.01, 0.03, 0.1, 0.25, 0.5, 1, 3))
    set_ticks(right, "y", (LEAST, 0.01, 0.05, 0.2, 1), words=("≤ 0.1 %", "1 %", "5 %", "20 %", "100 %"))
    left.set_ylim(5e-4, 6)
    right.set_ylim(LEAST / 1.4, 2)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    return to_png(figure)


def _draw(axes: Axes, points: Sequence[tuple[LossPoint, float]]) -> None:
    for family, (colour, line) in _CURVES.items():
        curve = sorted((point.bpw, value) for point, value in points if point.family == family)
        if curve:
            style = {"color": colour, "marker": "o", "ms": 3, "lw": 1.5}
            axes.plot(*zip(*curve, strict=True), line, label=family, **style)
    alone = [(point.bpw, value, point.family) for point, value in points if point.family in _ALONE]
    for x, y, _ in alone:
        axes.plot([x], [y], "D", color=LIGHT.ink, ms=4)
    for x, y, family in alone:
        axes.annotate(family, (x, y), xytext=(5, 3), textcoords="offset points", fontsize=8, color=LIGHT.ink)


def federated_plot(trained: Sequence[Training]) -> bytes:
    """Draw how far above the uncoded one every channel's last loss is, over the bits of its uploads."""
    figure = new_figure(LIGHT, 11, 5.2)
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    uncoded = next(run for run in trained if run.channel == "none")
    above = [
        (run.channel, run.bpw, max(run.losses[-1] - uncoded.losses[-1], LEAST_ABOVE))
        for run in trained
        if run is not uncoded
    ]
    for family, (colour, line) in _CHANNELS.items():
        points = sorted((bpw, height) for channel, bpw, height in above if channel.startswith(family))
        if points:
            axes.plot(*zip(*points, strict=True), line, marker="o", ms=5, lw=1.6, color=colour, label=family)
    alone = [one for one in above if not one[0].startswith(tuple(_CHANNELS))]
    for _, bpw, height in alone:
        axes.plot([bpw], [height], "D", ms=5, color=LIGHT.ink)
    axes.axhline(uncoded.losses[0] - uncoded.losses[-1], color=LIGHT.muted, lw=1, ls="--", label="no training")
    style_axes(axes, LIGHT, title="last loss above that of uncoded training (nats)")
    set_ticks(axes, "x", (0.03, 0.1, 0.3, 1, 3, 10, 30))
    words = (f"≤ {LEAST_ABOVE:g}", "0.001", "0.003", "0.01", "0.03", "0.1")
    set_ticks(axes, "y", (LEAST_ABOVE, 0.001, 0.003, 0.01, 0.03, 0.1), words=words)
    axes.set_xlabel("bits per weight of an upload", color=LIGHT.muted, fontsize=9)
    axes.legend(fontsize=8, frameon=False, labelcolor=LIGHT.ink, loc="center right")
    figure.draw_without_rendering()  # which settles where everything is
    name_points(axes, [(bpw, height, channel) for channel, bpw, height in alone])
    return to_png(figure)
