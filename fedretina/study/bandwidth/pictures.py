"""The pictures: the score over the bytes so far, a line for each codec at its best setting; a panel for each task."""

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedretina.report import LIGHT, bytes_axis, new_figure, size, spread, style_axes
from fedretina.study.bandwidth.cells import OURS
from fedretina.study.bandwidth.frontier import REFERENCE, Line, TaskResult

_COLUMNS = 2
_ROOM = 0.05  # of the height of an axis, above and below the curves
_GAP = 0.06  # of the height, between labels
_WIDTH = 120  # letters of the command in a line


def colours(tasks: Sequence[TaskResult]) -> dict[str, str]:
    """Return a colour for each codec: ours have the first, the uncompressed one the ink, peers all others in turn."""
    codecs = dict.fromkeys(line.codec for task in tasks for line in task.lines)
    ours, *others = LIGHT.series
    peers = [codec for codec in codecs if codec not in (OURS, REFERENCE)]
    return {
        **{codec: others[index % len(others)] for index, codec in enumerate(peers)},
        OURS: ours,
        REFERENCE: LIGHT.ink,
    }


def words(task: TaskResult, line: Line) -> str:
    """Return what stands beside a line: the codec and its bytes to the goal."""
    needed = task.bytes_to_goal(line)
    return f"{line.codec}  {'goal not reached' if needed is None else size(needed)}"


def main_picture(task: TaskResult, command: str) -> Figure:
    """Draw one task large, with the command under it."""
    figure = new_figure(LIGHT, 11, 6.2)
    _draw(figure.add_subplot(), task, colours([task]))
    figure.supxlabel(textwrap.fill(command, _WIDTH), color=LIGHT.muted, fontsize=8, family="monospace")
    return figure


def small_multiples(tasks: Sequence[TaskResult]) -> Figure:
    """Draw every task, two in a row."""
    rows = -(-len(tasks) // _COLUMNS)
    figure = new_figure(LIGHT, 15, 4.8 * rows)
    for place, task in enumerate(tasks, start=1):
        _draw(figure.add_subplot(rows, _COLUMNS, place), task, colours(tasks))
    return figure


def pareto_picture(tasks: Sequence[TaskResult]) -> Figure:
    """Draw the last score of every setting over the bytes of the whole training, and the Pareto front."""
    rows, colour = -(-len(tasks) // _COLUMNS), colours(tasks)
    figure = new_figure(LIGHT, 13, 4.4 * rows)
    for place, task in enumerate(tasks, start=1):
        axes = figure.add_subplot(rows, _COLUMNS, place)
        style_axes(axes, LIGHT, title=f"{task.name}: last {task.metric} over all bytes")
        for line in task.lines:
            (x, y), ours = (line.curve[0][-1], line.last), line.is_ours
            axes.plot([x], [y], "o" if ours else "D", color=colour[line.codec], markersize=7 if ours else 5)
        front = task.pareto
        axes.plot([f.curve[0][-1] for f in front], [f.last for f in front], color=LIGHT.muted, linewidth=1, zorder=1)
        totals = [line.curve[0][-1] for line in task.lines]
        bytes_axis(axes, min(totals), max(totals))
        _limit(axes, task, [line.last for line in task.lines])
        _label(axes, [(f.last, f.codec, colour[f.codec]) for f in front])
    return figure


def _draw(axes: Axes, task: TaskResult, colour: dict[str, str]) -> None:
    style_axes(axes, LIGHT, title=f"{task.name}: {task.metric} over bytes, both directions")
    dashes = _dashes(task)
    for line in task.best:
        totals, scores = line.curve
        own = line.is_ours or line.codec == REFERENCE
        style: dict[str, Any] = {
            "linewidth": 2.6 if own else 1.3,
            "linestyle": dashes[line.codec],
            "zorder": 4 if own else 3,
        }
        axes.plot(totals[1:], scores[1:], color=colour[line.codec], **style)
    bytes_axis(axes, min(line.curve[0][1] for line in task.best), max(line.curve[0][-1] for line in task.best))
    axes.set_xlabel("sent so far by server and all clients", color=LIGHT.muted, fontsize=9)
    _limit(axes, task, [score for line in task.best for score in line.curve[1][1:]])
    if task.goals:
        goal = sum(task.goals.values()) / len(task.goals)
        axes.axhline(goal, color=LIGHT.muted, linewidth=1, linestyle=":")
    labels = [(line.last, words(task, line), colour[line.codec]) for line in task.best]
    _label(axes, labels)


def _label(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Write labels (y, words, colour) to the right, each beside its y as far as there is room, none above the axes."""
    low, high = axes.get_ylim()
    places = spread([(y - low) / (high - low) for y, _, _ in labels], _GAP)
    over = max(0.0, max(places, default=0.0) - 1)
    for place, (_, text, colour) in zip(places, labels, strict=True):
        at = (1.01, place - over)
        axes.annotate(text, at, xycoords="axes fraction", color=colour, fontsize=9, va="center", annotation_clip=False)


def _dashes(task: TaskResult) -> dict[str, str]:
    """Return a line style for each codec: as there are more peers than colours, those that come round again are dashed."""
    peers = [line.codec for line in task.best if not line.is_ours and line.codec != REFERENCE]
    styles = {codec: ("-", "--", ":")[index // (len(LIGHT.series) - 1) % 3] for index, codec in enumerate(peers)}
    return {line.codec: "-" for line in task.best} | styles


def _limit(axes: Axes, task: TaskResult, scores: Sequence[float]) -> None:
    """Let the axis show the scores; a loss grows downwards, so that better is up everywhere."""
    low, high = min(scores), max(scores)
    room = _ROOM * (high - low) or 1.0
    limits = (low - room, high + room)
    axes.set_ylim(*(reversed(limits) if task.lower_is_better else limits))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
