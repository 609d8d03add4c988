"""Stored pairs of runs. A pair is measured again only if the code that it depends on has changed."""

import contextlib
import os
import platform
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from apps.app import App, Setting
from apps.compare import Found
from apps.examples import APPS
from apps.measure import DOM, PLAIN, measure, run
from fedretina.study import Results, code_digest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHOWN_ONLY = {"__main__.py", "command.py", "page.py", "picture.py", "tables.py"}


def measure_all(out: Path, apps: Sequence[App], seeds: Sequence[int] | None, *, quick: bool) -> Iterable[Found]:
    """Measure the pairs that are not stored yet; yield each pair."""
    for app in apps:
        of_app = seeds if seeds is not None else range(1 if quick else app.seeds)
        for seed in of_app:
            yield _stored_pair(out, app, seed, quick=quick)


def read_all(out: Path) -> dict[str, list[Found]]:
    """Read the stored pairs by app, in the order of seeds; pairs of other code are left out."""
    found: dict[str, list[Found]] = {name: [] for name in APPS}
    for entry in Results(out).entries():
        if entry.value["code"] == code() and entry.value["app"] in found:
            found[entry.value["app"]].append(entry.value)
    return {name: sorted(cells, key=lambda cell: cell["seed"]) for name, cells in found.items() if cells}


@cache
def warm_up(app: App) -> None:
    """Run one round of each kind, so that imports and data sets are not part of the measured time."""
    for arm in (PLAIN, DOM):
        with contextlib.suppress(Exception):  # the measurement reports errors
            run(app, Setting(0, 1, app.nodes), arm)


@cache
def code() -> str:
    """Hash the code that results depend on: the codec, its use in Flower, and the apps and checks of this benchmark."""
    folders = (ROOT / "fedretina" / "dom", ROOT / "fedretina" / "flower", ROOT / "fedretina" / "testing", HERE)
    files = (ROOT / "simulations" / "any_strategy" / "digits_task.py",)
    return code_digest([*folders, *files], without=SHOWN_ONLY)[:12]


@cache
def machine() -> str:
    """Name the machine: processor and number of cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, one used"


def _stored_pair(out: Path, app: App, seed: int, *, quick: bool) -> Found:
    setting = app.setting(seed, quick=quick)

    def measured() -> Found:
        warm_up(app)
        return measure(app, setting) | {"code": code(), "machine": machine(), "nodes": setting.nodes}

    cell: Found = Results(out).measured(f"{app.name}-{seed}", measured, key=f"{code()}, {setting.rounds} rounds")
    return cell
