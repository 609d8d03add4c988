"""The policy study: its cells in the order in which they are measured, and the store of their results."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path

from city_scale import estimates
from city_scale.cells import LEARNS_NO_MORE, Cell, measure
from city_scale.gains import Gains
from fedretina.study import Results

TENTH = 50_000
"""Bytes of payload for a target and turn: about a tenth of what all models take."""
BUDGETS = (TENTH, TENTH // 4, 4 * TENTH, TENTH // 2, 2 * TENTH)
"""The budgets of the curves of regret, the most important first."""
DEFENDED = "nearest"
TURNS_WITH_BAD = {"turns hostile": 4, LEARNS_NO_MORE: 4, "sign-flipped": 3, "mislabelled": 3}
"""Kinds of bad domains, and the turns of a domain. One that turns hostile must first have a history, and then be heard."""


def cells(seeds: list[int]) -> Iterator[Cell]:
    """List the cells, the most important first."""
    for seed in seeds:
        yield Cell(policy="nearest", budget=TENTH, seed=seed)
        yield Cell(policy="all", budget=0, seed=seed)
    for bad, turns in TURNS_WITH_BAD.items():
        for seed in seeds:
            for kind, trust in product(("", bad), (False, True)):
                yield Cell(policy=DEFENDED, budget=TENTH, bad=kind, seed=seed, trust=trust, turns=turns)
    for budget, policy, seed in product(BUDGETS, ("oracle", DEFENDED, "score", "bound", "random"), seeds):
        yield Cell(policy=policy, budget=budget, seed=seed)


def measure_all(folder: Path, seeds: list[int]) -> None:
    """Measure the estimates and the cells that are not stored yet."""
    results = Results(folder)
    for seed in seeds:
        known = results.measured(f"estimates-{seed}", lambda: estimates.measure(seed))  # noqa: B023
        print(f"estimates-{seed}", known["tau"], flush=True)
    for cell in dict.fromkeys(cells(seeds)):
        gains = Gains(results.measured(f"estimates-{cell.seed}", dict)["gains"]) if cell.policy == "oracle" else None
        found = results.measured(cell.name, lambda: asdict(cell) | measure(cell, gains))  # noqa: B023
        shown = [f"{sum(row['accuracy'].values()) / len(row['accuracy']):.2f}" for row in found["turns"]]
        print(cell.name, shown, [f"{row['down'] / 1e6:.2f} MB" for row in found["turns"]], flush=True)
