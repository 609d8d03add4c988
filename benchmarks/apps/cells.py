"""Measured pairs of runs, kept in files: a pair is measured again only if the code that it depends on has changed."""

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from apps.app import App, Setting
from apps.compare import Found
from apps.examples import APPS
from apps.measure import DOM, PLAIN, measure, run

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHOWN_ONLY = {"__main__.py", "command.py", "page.py", "picture.py", "tables.py"}


def measure_all(out: Path, apps: Sequence[App], seeds: Sequence[int] | None, *, quick: bool) -> Iterable[Found]:
    """Measure what is not there yet, and give each pair as it is done."""
    for app in apps:
        of_app = seeds if seeds is not None else range(1 if quick else app.seeds)
        for seed in of_app:
            yield _kept(out, app, seed, quick=quick)


def read_all(out: Path) -> dict[str, list[Found]]:
    """Read the pairs of an OUT by app, seeds in order; those of other code stay out."""
    found: dict[str, list[Found]] = {name: [] for name in APPS}
    for file in out.glob("*.json"):
        cell = _read(file)
        if cell is not None and cell["code"] == code() and cell["app"] in found:
            found[cell["app"]].append(cell)
    return {name: sorted(cells, key=lambda cell: cell["seed"]) for name, cells in found.items() if cells}


@cache
def warm_up(app: App) -> None:
    """Run one round of each kind, so that imports and data sets are there before anything is timed."""
    for arm in (PLAIN, DOM):
        with contextlib.suppress(Exception):  # what breaks is found by the measurement
            run(app, Setting(0, 1, app.nodes), arm)


@cache
def code() -> str:
    """Name the code that results depend on: the codec, the wrapper, this benchmark's apps and checks."""
    folders = (ROOT / "fedretina" / "dom", ROOT / "fedretina" / "flower", HERE)
    files = sorted(file for folder in folders for file in folder.rglob("*.py") if file.name not in SHOWN_ONLY)
    told = hashlib.sha256()
    for file in [*files, ROOT / "simulations" / "any_strategy" / "digits_task.py", ROOT / "tests" / "grids.py"]:
        told.update(file.relative_to(ROOT).as_posix().encode() + file.read_bytes())
    return told.hexdigest()[:12]


@cache
def machine() -> str:
    """Name the machine: processor and number of cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, one used"


def _kept(out: Path, app: App, seed: int, *, quick: bool) -> Found:
    file = out / f"{app.name}-{seed}.json"
    setting = app.setting(seed, quick=quick)
    cell = _read(file) if file.exists() else None
    if cell is None or (cell["code"], cell["rounds"]) != (code(), setting.rounds):
        warm_up(app)
        cell = measure(app, setting) | {"code": code(), "machine": machine(), "nodes": setting.nodes}
        out.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(cell, indent=1))
        part.replace(file)
    return cell


def _read(file: Path) -> Found | None:
    """Read a pair; None for a file that is none."""
    try:
        cell: Found = json.loads(file.read_text())
    except ValueError:
        return None
    return cell if isinstance(cell, dict) and {"app", "seed", "rounds", "code", "plain", "dom"} <= cell.keys() else None
