"""The result of a study: a Markdown page for people, and JSON for programs."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

import fedretina
from fedretina.study.grid import Cell, Grid, Results, Study
from fedretina.study.tables import mean_and_deviation, mean_text, table


def markdown(study: Study, results: Results, seeds: Sequence[int], *, command: str, data: str, published: bool) -> str:
    """Write the Markdown page.

    Parameters
    ----------
    study, results, seeds
        The question, the measured metrics by setting, and the seeds.
    command : str
        The command that was typed.
    data : str
        A description of the data.
    published : bool
        Whether the data are the paper's. Only then are its numbers shown.

    Returns
    -------
    str
        The page. Cells that were not measured are empty.
    """
    base = study.settings(seeds)[0]
    several, one = "Mean ± standard deviation over the seeds.", "One seed: a difference of one or two points is noise."
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
    if published and any(cell.paper for grid in study.grids for cell in grid.cells.values()):
        parts.append(
            "In brackets: the paper's numbers, of a ResNet-50 and another split of CUHK03 (26,264 training images)."
        )
    parts += [f"## {grid.title}\n\n{_table(grid, results, seeds, published)}" for grid in study.grids]
    parts += ["\n".join(f"- {note}" for note in study.notes), f"![{study.title}]({study.name}.png)"]
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(grid: Grid, results: Results, seeds: Sequence[int], published: bool) -> str:
    def text(cell: Cell | None) -> str:
        return "" if cell is None else cell_text(cell, results, seeds, published=published, digits=grid.digits)

    rows = ([row, *(text(grid.cells.get((row, column))) for column in grid.columns)] for row in grid.rows)
    return table([grid.row_header, *grid.columns], rows).rstrip("\n")


def cell_text(cell: Cell, results: Results, seeds: Sequence[int], *, published: bool, digits: int = 1) -> str:
    """Write one cell: the mean of each metric over the seeds, the first with its deviation; the paper's in brackets."""
    values = cell.values(results, seeds)
    if not values:
        return ""
    first, *others = zip(*values, strict=True)
    texts = [mean_text(first, f".{digits}f"), *(f"{mean_and_deviation(column)[0]:.{digits}f}" for column in others)]
    printed = f" ({' / '.join(f'{number:.2f}' for number in cell.paper)})" if published and cell.paper else ""
    return " / ".join(texts) + printed


def to_json(study: Study, results: Results, seeds: Sequence[int], *, published: bool) -> dict[str, Any]:
    """Give the study for JSON: every cell with its setting and the values of all seeds."""
    grids = []
    for grid in study.grids:
        cells = [
            {"row": row, "column": column, **_cell(cell, results, seeds, published)}
            for (row, column), cell in grid.cells.items()
        ]
        grids.append({"title": grid.title, "cells": cells})
    return {"study": study.name, "title": study.title, "seeds": list(seeds), "grids": grids}


def _cell(cell: Cell, results: Results, seeds: Sequence[int], published: bool) -> Mapping[str, Any]:
    values = cell.values(results, seeds)
    metrics = {}
    for i, name in enumerate(cell.metrics if values else ()):
        mean, deviation = mean_and_deviation([value[i] for value in values])
        metrics[name] = {"values": [value[i] for value in values], "mean": mean, "deviation": deviation}
    setting = {name: value for name, value in asdict(cell.setting).items() if name != "seed"}
    return {"setting": setting, "metrics": metrics, "paper": list(cell.paper) if published else []}
