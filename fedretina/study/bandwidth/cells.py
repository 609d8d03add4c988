"""Cells of a sweep: measured by a pool of processes, each kept with all that repeats it; interrupted sweeps go on."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

import fedretina.dom
from fedretina.atomic import write_text
from fedretina.study.bandwidth.federation import Plan, RoundRow, federate
from fedretina.study.bandwidth.sweep import Variant
from fedretina.study.results import Results, code_digest
from fedretina.study.tasks import FederatedTask

STUDY = Path(__file__).parents[1]
ROWS = "rows.jsonl"
OURS = "dom"
_OWN_CODE = ("dom.py",)  # of the folder of codecs: no peer depends on it
_CODE = (STUDY / "codecs", STUDY / "tasks", STUDY / "bandwidth" / "federation.py")
_DOM = Path(fedretina.dom.__file__).parent

MakeTask = Callable[[int], FederatedTask]
"""Makes a task for a number of clients; it is sent to other processes, so it must be picklable."""


@dataclass(frozen=True)
class NamedTask:
    """A task of the sweep: its name, what makes it, and what the result depends on beside the package's code."""

    name: str
    make: MakeTask
    source: str = ""


@dataclass(frozen=True)
class Cell:
    """One training: a task, a codec at a setting, a plan and a seed."""

    task: NamedTask
    variant: Variant
    plan: Plan
    seed: int

    @property
    def name(self) -> str:
        """Name of the cell and of its file."""
        return f"{self.task.name}-{self.variant.codec}-s{self.seed}-{_digest(self.recipe)[:10]}"

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything that repeats the cell, beside the code."""
        codec = {"codec": self.variant.codec, "settings": dict(self.variant.settings)}
        return {"task": self.task.name, "source": self.task.source, **codec, **asdict(self.plan), "seed": self.seed}

    @property
    def key(self) -> str:
        """What the result depends on: the recipe and the code."""
        return _digest({**self.recipe, "code": _code(self.variant.codec)})


@dataclass(frozen=True)
class Measured:
    """A cell with its rows, and what the task says of its metric."""

    cell: Cell
    metric: str
    lower_is_better: bool
    weights: int
    rows: Sequence[RoundRow]

    @classmethod
    def of(cls, cell: Cell, value: Mapping[str, Any]) -> "Measured":
        """Return what a file holds."""
        names = [field.name for field in fields(RoundRow)]
        rows = [RoundRow(**dict(zip(names, row, strict=True))) for row in value["rows"]]
        return cls(cell, value["metric"], value["lower_is_better"], value["weights"], rows)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the rows as a table has them: one object a round, cumulative bytes among them."""
        variant, total = self.cell.variant, 0
        head = {"task": self.cell.task.name, "codec": variant.codec, "setting": variant.label, "seed": self.cell.seed}
        plan = {"clients": self.cell.plan.clients, "local_steps": self.cell.plan.local_steps, "outer": self.cell.plan.outer}
        for row in self.rows:
            total += row.bytes_up + row.bytes_down
            seconds = {"seconds": row.client_seconds + row.server_seconds}
            yield {**head, **plan, "metric": self.metric, **asdict(row), "bytes_total": total, **seconds}


def measure(
    cells: Sequence[Cell], folder: Path, *, jobs: int, on_cell: Callable[[Measured, bool], None], train: bool = True
) -> list[Measured]:
    """Measure the cells that are not stored.

    Parameters
    ----------
    cells : sequence of Cell
        In the order of the results.
    folder : Path
        Cells are stored in its folder ``cells``.
    jobs : int
        Number of processes, with one thread of torch each.
    on_cell : callable
        Called with each cell, and whether it was stored.
    train : bool, default True
        Whether to train those that are missing; otherwise they are left out.
    """
    store, found = Results(folder / "cells"), dict[Cell, Measured]()
    for cell in cells:
        entry = store.entry(cell.name)
        if entry is not None and entry.key == cell.key:
            found[cell] = Measured.of(cell, entry.value)
            on_cell(found[cell], True)
    missing = [cell for cell in cells if cell not in found]
    for cell, value in _trained(missing, jobs) if train else ():
        store.put(cell.name, value, key=cell.key, recipe=cell.recipe, versions=versions())
        found[cell] = Measured.of(cell, value)
        on_cell(found[cell], False)
    return [found[cell] for cell in cells if cell in found]


def write_rows(cells: Sequence[Measured], folder: Path) -> None:
    """Write the rows of cells into ``rows.jsonl``, each cell once."""
    once = {one.cell: one for one in cells}.values()
    write_text(folder / ROWS, "".join(json.dumps(line) + "\n" for one in once for line in one.lines()))


def versions() -> dict[str, str]:
    """Return what a cell was measured with."""
    packages = {name: metadata.version(name) for name in ("fedretina", "torch", "numpy", "pcodec")}
    return {**packages, "python": platform.python_version(), "machine": platform.machine()}


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train_cell(cell: Cell) -> dict[str, Any]:
    """Train one cell in this process; return what its file holds."""
    torch.set_num_threads(1)
    task = cell.task.make(cell.plan.clients)
    weights = sum(values.size for values in task.first_model(cell.seed).values())
    rows = [list(asdict(row).values()) for row in federate(task, cell.variant.make(), cell.plan, seed=cell.seed)]
    return {"metric": task.metric, "lower_is_better": task.lower_is_better, "weights": weights, "rows": rows}


def _trained(cells: Sequence[Cell], jobs: int) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Train cells; yield each when it is done. The first error ends all."""
    if jobs == 1 or len(cells) <= 1:
        yield from ((cell, train_cell(cell)) for cell in cells)
        return
    with ProcessPoolExecutor(min(jobs, len(cells)), mp_context=get_context("spawn")) as pool:
        running: dict[Future[dict[str, Any]], Cell] = {pool.submit(train_cell, cell): cell for cell in cells}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@cache
def _code(codec: str) -> str:
    return code_digest((*_CODE, _DOM)) if codec == OURS else code_digest(_CODE, without=_OWN_CODE)


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
