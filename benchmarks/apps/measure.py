"""Run an app under plain Flower and over DoM with the same seed, and compare them."""

import hashlib
import logging
import random
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from separate_nodes import separate_nodes

from apps.app import App, Array, Mod, Setting
from apps.compare import Comparison, Found
from apps.observe import Key, MeasuringGrid, ObservedGrid, Tap
from fedretina.flower import DomGrid
from fedretina.ledger import totals

Sizes = Mapping[str, Mapping[Key, list[int]]]


@dataclass(frozen=True)
class Arm:
    """How messages travel: the mods that a ClientApp gets, and the grid around Flower's. Both get a folder."""

    mods: Callable[[Path], list[Mod]]
    grid: Callable[[MeasuringGrid, Path], Any]


PLAIN = Arm(lambda folder: [], lambda grid, folder: DomGrid(grid, None, store=folder / "server"))
DOM = Arm(lambda folder: [separate_nodes(folder)], lambda grid, folder: DomGrid(grid, store=folder / "server"))


def run(app: App, setting: Setting, arm: Arm) -> Found:
    """Run an app once. Sizes by message stay in the result under "sizes"; whoever writes it takes them out."""
    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    torch.set_num_threads(1)
    random.seed(setting.seed)  # by which Flower samples nodes
    np.random.seed(setting.seed)
    torch.manual_seed(setting.seed)
    with tempfile.TemporaryDirectory() as name:
        folder, tap = Path(name), Tap()
        inner = MeasuringGrid(app.client([*arm.mods(folder), tap], setting), setting.nodes)
        carrier = arm.grid(inner, folder)
        grid = ObservedGrid(carrier)
        start = time.perf_counter()
        result = app.server(grid, setting)
        seconds = time.perf_counter() - start - grid.notes.seconds - tap.notes.seconds - inner.seconds
    sums = totals(carrier.ledger.rows)
    return {
        "metrics": [float(value) for value in result.metrics],
        "result": digest(result.arrays),
        "seconds": seconds,
        "bytes": {"down": sums.wire_down, "up": sums.wire_up},
        "wire": {direction: sum(map(sum, sizes.values())) for direction, sizes in inner.sizes.items()},
        "bytes_by_round": _by_round(carrier.ledger.rows),
        "errors": grid.notes.errors,
        "checks": Comparison(app.is_exact).compare(grid.notes, tap.notes).found(),
        "sizes": inner.sizes,
    }


def measure(app: App, setting: Setting, arm: Arm = DOM) -> Found:
    """Run an app under plain Flower and with the other arm. If the other arm fails, its error is the result."""
    found: Found = {"app": app.name, "seed": setting.seed, "rounds": setting.rounds, "error": ""}
    plain = run(app, setting, PLAIN)
    found["plain"] = plain
    sizes = plain.pop("sizes")
    try:
        other = run(app, setting, arm)
    except Exception as error:  # whatever it is, the page must show it
        return found | {"dom": None, "error": f"{type(error).__name__}: {error}"[:300]}
    found["excess"] = excess(sizes, other.pop("sizes"))
    found["dom"] = other
    same = (plain["metrics"], plain["result"]) == (other["metrics"], other["result"])
    return found | {"same_result": same}


def excess(plain: Sizes, other: Sizes) -> dict[str, int]:
    """Give the most bytes by which a message is larger than plain Flower's, by direction; negative if all are smaller."""
    return {
        direction: max(
            (
                b - a
                for key in plain[direction].keys() | other[direction].keys()
                for a, b in zip_longest(plain[direction].get(key, []), other[direction].get(key, []), fillvalue=0)
            ),
            default=0,
        )
        for direction in plain
    }


def digest(arrays: Mapping[str, Array]) -> str:
    """Hash the names, dtypes, shapes and values of arrays."""
    hashed = hashlib.sha256()
    for name, array in arrays.items():
        hashed.update(repr((name, array.dtype.str, array.shape)).encode() + array.tobytes())
    return hashed.hexdigest()[:16]


def _by_round(rows: Any) -> dict[str, dict[str, int]]:
    sums: dict[str, dict[str, int]] = {}
    for row in rows:
        of_round = sums.setdefault(str(row.round), {"down": 0, "up": 0})
        of_round[row.direction] += row.wire_bytes
    return sums
