"""The interactive page: one HTML file with the data and its own script; it loads nothing from anywhere."""

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from fedretina.study.bandwidth.frontier import Line, TaskResult


def interactive_page(tasks: Sequence[TaskResult], tried: Sequence[TaskResult], *, command: str) -> str:
    """Return the page: curves over bytes, filters by task and codec, values under the pointer, keys, light and dark.

    Parameters
    ----------
    tasks, tried : sequence of TaskResult
        What is reported, and what the settings were chosen on: it has all settings. Both may be the same.
    command : str
        The command that was typed.
    """
    environment = Environment(
        loader=PackageLoader("fedretina.study.bandwidth", "."), autoescape=True, undefined=StrictUndefined
    )
    others = {task.name: task for task in tried}
    data = [_task(task, others[task.name]) for task in tasks]
    return environment.get_template("page.html.j2").render(data=data, command=command)


def _task(task: TaskResult, tried: TaskResult) -> dict[str, Any]:
    goals = list(task.goals.values())
    best = {line.variant for line in task.best}
    others = [_line(tried, line) | {"best": False} for line in tried.lines if line.variant not in best]
    return {
        "name": task.name,
        "metric": task.metric,
        "lower": task.lower_is_better,
        "goal": sum(goals) / len(goals) if goals else None,
        "lines": [_line(task, line) | {"best": True} for line in task.best] + others,
    }


def _line(task: TaskResult, line: Line) -> dict[str, Any]:
    totals, scores = line.curve
    return {
        "codec": line.codec,
        "setting": line.variant.label,
        "ours": line.is_ours,
        "seeds": [one.cell.seed for one in line.seeds],
        "bytes": [round(total) for total in totals[1:]],
        "scores": [round(score, 4) for score in scores[1:]],
        "needed": task.bytes_to_goal(line),
    }
