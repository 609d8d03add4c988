"""The plots: bits against error, speed against bits, what skips cost."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from matplotlib.transforms import Bbox

from codec.measure import Point
from codec.race import Lap
from codec.rates import at_error, of_family
from codec.roster import LITERAL, ONE_STEP, ROUNDING, ours
from codec.skips import History
from codec.study import Measured
from fedretina.report import LIGHT, new_figure, outlined, spread, style_axes, to_png

_BLUE, _ORANGE, _GREEN, _PINK, _SKY, _GOLD, _GREY = LIGHT.series
_CURVES = {  # family: colour, line
    ours("small"): (_BLUE, "-"),
    ours("balanced"): (_SKY, "-"),
    ours("fast"): (_SKY, "--"),
    "DoM balanced, one step": (_GOLD, "--"),
    ONE_STEP: (_GOLD, "-"),
    ROUNDING: (_GREY, "-"),
    "rounding + zlib-6": (_GREY, "--"),
    "rounding + zstd-3": (_GREY, ":"),
    "NNCodec smallest": (_ORANGE, "-"),
    "NNCodec default": (_ORANGE, "--"),
    "NNCodec plain": (_ORANGE, ":"),
    "top-k": (_GREEN, "-"),
    "STC": (_GREEN, "--"),
    "QSGD": (_PINK, "-"),
    LITERAL: (_PINK, ":"),
    "blockwise int8": (_PINK, "--"),
}
_MARKER, _APART = 6, 2
# Where a name may be: how it is aligned, and how many points it is off its marker.
_BESIDE = (
    *(("left", (8, 0)), ("center", (0, -12)), ("center", (0, 12)), ("right", (-8, 0))),
    *(("left", (5, -11)), ("left", (5, 11)), ("right", (-5, -11)), ("right", (-5, 11))),
)
_ALONE = ("fp16", "int8 min-max", "nf4")
_CLOSE = ("DoM balanced, one step", ONE_STEP, "NNCodec smallest", "NNCodec default", "rounding + zlib-6")


def rate_plot(measured: Measured) -> bytes:
    """Draw one vector: all schemes, and the close ones as a share of plain rounding with our coder."""
    figure = new_figure(LIGHT, 13.5, 5.2)
    left, right = figure.subplots(1, 2)
    _draw_all(left, measured.points)
    style_axes(left, LIGHT, title=f"{measured.name}: bits per weight")
    _draw_close(right, measured.points)
    style_axes(right, LIGHT, title="against plain rounding with our coder, %")
    for axes in (left, right):
        axes.set_xlabel("relative error ‖d - d̂‖ / ‖d‖", color=LIGHT.muted, fontsize=9)
        set_ticks(axes, "x", (0.003, 0.01, 0.03, 0.1, 0.3, 1))
    left.set_xlim(0.003, 1.15)
    right.set_xlim(0.04, 0.75)
    _label_ends(left)
    _label_ends(right)
    return to_png(figure)


def _draw_all(axes: Axes, points: Sequence[Point]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for family, (colour, line) in _CURVES.items():
        curve = sorted((p for p in points if p.family == family and p.error > 0), key=lambda p: p.bpw)
        if curve:
            axes.plot(
                [p.error for p in curve],
                [p.bpw for p in curve],
                line,
                color=colour,
                marker="o",
                ms=2.5,
                lw=1.4,
                label=family,
            )
    for family in _ALONE:
        for point in of_family(points, family):
            axes.plot([max(point.error, 0.0032)], [point.bpw], "D", color=LIGHT.ink, ms=4)
            axes.annotate(
                family, (max(point.error, 0.0032), point.bpw), xytext=(6, 2), textcoords="offset points", fontsize=8
            )
    set_ticks(axes, "y", (0.03, 0.1, 0.3, 1, 2, 4, 8, 16))


def _draw_close(axes: Axes, points: Sequence[Point]) -> None:
    axes.set_xscale("log")
    reference = of_family(points, ROUNDING)
    axes.axhline(100, color=_GREY, lw=1.4, label=ROUNDING)
    for family in _CLOSE:
        colour, line = _CURVES[family]
        curve = [
            (p.error, 100 * p.bpw / plain) for p in of_family(points, family) if (plain := at_error(reference, p.error))
        ]
        if curve:
            axes.plot(*zip(*curve, strict=True), line, color=colour, marker="o", ms=2.5, lw=1.4, label=family)


def _label_ends(axes: Axes) -> None:
    """Name the curves by a legend below, in columns: ends of a dozen curves lie on each other."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, fontsize=8, frameon=False, labelcolor=LIGHT.ink)


def speed_plot(laps: Mapping[int, Sequence[Lap]], name: str) -> bytes:
    """Draw the race at c = 3: speed of encoding and decoding against bits per weight."""
    figure = new_figure(LIGHT, 13.5, 5.2)
    shown = [lap for lap in laps[3] if not lap.label.endswith("all cores")]
    halves = dict(zip(("encode", "decode"), figure.subplots(1, 2), strict=True))
    for way, axes in halves.items():
        axes.set_xscale("log")
        axes.set_yscale("log")
        for lap in shown:
            colour = _BLUE if lap.label.startswith("DoM") else _GREY
            axes.plot([getattr(lap, way)], [lap.bpw], "o", ms=_MARKER, color=colour)
        style_axes(axes, LIGHT, title=f"{name}, c = 3: {way}, MB/s of fp32")
        axes.set_ylabel("bits per weight", color=LIGHT.muted, fontsize=9)
        set_ticks(axes, "y", (0.1, 0.2, 0.5, 1, 2, 4, 8, 16))
        set_ticks(axes, "x", (3, 10, 30, 100, 300, 1000, 3000, 10000))
        low, high = axes.get_xlim()
        axes.set_xlim(low / 1.1, high * 4)
    figure.draw_without_rendering()  # which settles where everything is
    for way, axes in halves.items():
        name_points(axes, [(getattr(lap, way), lap.bpw, lap.label) for lap in shown])
    return to_png(figure)


def name_points(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write each name beside its point, ours first: where it lies on no point and on no name that is there already."""
    taken = [_around(axes, x, y) for x, y, _ in points]
    for x, y, label in sorted(points, key=lambda point: (not point[2].startswith("DoM"), point[2])):
        colour = LIGHT.ink if label.startswith("DoM") else LIGHT.muted
        tried = [
            axes.annotate(
                label, (x, y), xytext=offset, textcoords="offset points", fontsize=8, ha=side, va="center", color=colour,
                path_effects=outlined(LIGHT),
            )
            for side, offset in _BESIDE
        ]  # fmt: skip
        boxes = [name.get_window_extent().padded(_APART) for name in tried]
        inside = (place for place, box in enumerate(boxes) if axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1)
        free = (place for place in inside if not any(boxes[place].overlaps(other) for other in taken))
        chosen = next(free, 0)
        taken.append(boxes[chosen])
        for place, name in enumerate(tried):
            if place != chosen:
                name.remove()


def _around(axes: Axes, x: float, y: float) -> Bbox:
    """Return what a point's marker covers, in pixels."""
    left, low = axes.transData.transform((x, y))
    radius = _MARKER / 2 * axes.get_figure().dpi / 72
    return Bbox.from_extents(left - radius, low - radius, left + radius, low + radius)


def skip_plot(histories: Mapping[str, History]) -> bytes:
    """Draw what it costs to have missed versions."""
    figure = new_figure(LIGHT, 5.6 * len(histories) + 1.5, 4.2)
    for axes, (name, found) in zip(figure.subplots(1, len(histories), squeeze=False)[0], histories.items(), strict=True):
        missed = [skip.missed for skip in found.skips]
        curves = {
            "chain": (_ORANGE, [skip.chain for skip in found.skips]),
            "offered": (_BLUE, [skip.offered for skip in found.skips]),
            "lossy, other bits": (_GREY, [skip.lossy for skip in found.skips]),
        }
        axes.set_xscale("log")
        axes.set_yscale("log")
        for colour, values in curves.values():
            axes.plot(missed, values, color=colour, marker="o", ms=4, lw=1.6)
        axes.axhline(found.keyframe, color=LIGHT.muted, lw=1, ls=":")
        axes.annotate(
            "keyframe", (1, found.keyframe), xytext=(0, 4), textcoords="offset points", fontsize=8, color=LIGHT.muted
        )
        style_axes(axes, LIGHT, title=f"{name}: bits per weight")
        axes.set_xlabel("versions missed", color=LIGHT.muted, fontsize=9)
        set_ticks(axes, "x", missed)
        set_ticks(axes, "y", (1, 2, 3, 5, 10, 20, 40))
        _label_log(axes, [(values[-1], name, colour) for name, (colour, values) in curves.items()])
    return to_png(figure)


def _label_log(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Write labels at the right end of curves over a logarithmic axis."""
    places = spread([float(np.log10(y)) for y, _, _ in labels], gap=0.07)
    for place, (_, words, colour) in zip(places, labels, strict=True):
        axes.annotate(
            words, (1, 10**place), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            color=colour, fontsize=8, va="center", annotation_clip=False,
        )  # fmt: skip


def set_ticks(axes: Axes, which: str, places: Sequence[float], *, words: Sequence[str] = ()) -> None:
    """Set the ticks of axis x or y; their numbers are their words unless others are given."""
    axis = getattr(axes, f"{which}axis")
    axis.set_minor_locator(NullLocator())
    axis.set_ticks(places, words or [f"{place:g}" for place in places])
