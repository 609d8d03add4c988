"""What a study came to, for people and for programs: Markdown and JSON."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

import fedretina
from fedretina.study.grid import Grid, Point, Results, Study
from fedretina.study.tables import mean_and_deviation, mean_text, table


def markdown(study: Study, results: Results, seeds: Sequence[int], *, command: str, data: str, published: bool) -> str:
    """Write the page.

    Parameters
    ----------
    study, results, seeds
        What was asked, and what was measured.
    command : str
        What was typed.
    data : str
        What the data are, in words.
    published : bool
        Whether they are the paper's: only then its numbers stand beside ours.

    Returns
    -------
    str
        A missing cell is empty.
    """
    base = study.settings(seeds)[0]
    several, one = "Mean ± standard deviation over the seeds.", "One seed: a difference of a point or two is noise."
    minutes = sum(results[s]["minutes"] for s in study.settings(seeds) if s in results)
    parts = [
        f"# {study.title}",
        study.question,
        f"Written by `{command}`; don't edit. ({minutes:.0f} minutes of training, fedretina {fedretina.__version__}, "
        f"torch {torch.__version__}, {platform.machine()})",
        f"Data: {data}. Target {base.target}; network `{base.model}`, {base.height} x {base.width} pixels; "
        f"{base.epochs} epochs, sources {base.home_epochs} at home. Seeds {', '.join(map(str, seeds))}. "
        f"{several if len(seeds) > 1 else one}",
    ]
    if published and any(point.paper for grid in study.grids for point in grid.points.values()):
        parts.append("In brackets: the paper's numbers, of a ResNet-50; its CUHK03 was split otherwise (26,264 to train).")
    parts += [f"## {grid.title}\n\n{_table(grid, results, seeds, published)}" for grid in study.grids]
    parts += ["\n".join(f"- {note}" for note in study.notes), f"![{study.title}]({study.name}.png)"]
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(grid: Grid, results: Results, seeds: Sequence[int], published: bool) -> str:
    def cell(point: Point | None) -> str:
        return "" if point is None else shown(point, results, seeds, published=published, digits=grid.digits)

    rows = ([row, *(cell(grid.points.get((row, column))) for column in grid.columns)] for row in grid.rows)
    return table([grid.corner, *grid.columns], rows).rstrip("\n")


def shown(point: Point, results: Results, seeds: Sequence[int], *, published: bool, digits: int = 1) -> str:
    """Write one cell: each metric's mean over the seeds, the first with its spread; the paper's in brackets."""
    values = point.values(results, seeds)
    if not values:
        return ""
    first, *others = zip(*values, strict=True)
    texts = [mean_text(first, f".{digits}f"), *(f"{mean_and_deviation(column)[0]:.{digits}f}" for column in others)]
    printed = f" ({' / '.join(f'{number:.2f}' for number in point.paper)})" if published and point.paper else ""
    return " / ".join(texts) + printed


def document(study: Study, results: Results, seeds: Sequence[int], *, published: bool) -> dict[str, Any]:
    """Give the same for a program, ready for JSON: every cell with its setting and the values of all seeds."""
    grids = []
    for grid in study.grids:
        cells = [
            {"row": row, "column": column, **_cell(point, results, seeds, published)}
            for (row, column), point in grid.points.items()
        ]
        grids.append({"title": grid.title, "cells": cells})
    return {"study": study.name, "title": study.title, "seeds": list(seeds), "grids": grids}


def _cell(point: Point, results: Results, seeds: Sequence[int], published: bool) -> Mapping[str, Any]:
    values = point.values(results, seeds)
    metrics = {}
    for i, name in enumerate(point.metrics if values else ()):
        mean, deviation = mean_and_deviation([value[i] for value in values])
        metrics[name] = {"values": [value[i] for value in values], "mean": mean, "deviation": deviation}
    setting = {name: value for name, value in asdict(point.setting).items() if name != "seed"}
    return {"setting": setting, "metrics": metrics, "paper": list(point.paper) if published else []}
