"""The page docs/results/poisoned.md, from the stored cells."""

import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from fedretina.study import Results, mean_text
from fedretina.study import table as table_of
from fedretina.train import Training
from poisoned.attacks import ATTACKS, SCALE, WRONG
from poisoned.cells import FIRST_BAD_ROUND, TOPOLOGY

LABELS = {
    "scaled": f"scaled by {SCALE:.0f}",
    "random": "random, with mean and deviation of each tensor",
    "NaN": "NaN",
    "sign-flipped": "all signs flipped",
    "mislabelled": f"trained on {WRONG:.0%} wrong labels",
}
PAGE = """# What bad peers do to a target

Written by `python benchmarks/poisoned` (torch {torch}, {machine}); don't edit.

The target is duke with 30 % of its labels. Its three peers are {sources}.
One bad peer is {first}, two are {first} and {second}. All peers are honest at first.
The bad ones send bad models from round {bad_round} on. Embedded pedestrians, {rounds} rounds, {home} epochs at home,
{local} epochs in a round, at most {images} images in an epoch, seeds {seeds}.
Cells: the target's mAP in percent after the last round; with several seeds, ± the standard deviation.
With one seed a difference of one or two points may be chance.

*With*: the defaults. The target admits a peer's version if it is finite and its change is no larger than the peer's history
makes likely (`AdmissionLimits`). The peers' risks on the target's labels give alpha and the weights in the committee.
*Without*: every version is admitted, and all peers have the same weight. In both the committee checks its votes on held-out
labels, and the target starts in round 1 from its best peer.

{table}

{ended}
## What it does not show

- A peer that is bad from its first version on has no history. Only a model that is not finite is refused then. The risk on
  the target's labels gives other bad models a small weight.
- A peer that changes its model slowly, within the limits of admission, is admitted.
- A backdoor that shows only on images which the target has no labels of does not change the risk. Nothing here finds it.
- A target without labels has no risks. Then only admission is left.
"""


def write(state: Path, training: Training, page: Path) -> None:
    """Write the page."""
    cells = [entry.value for entry in Results(state / "cells").entries()]
    rounds = [cell for cell in cells if len(cell["mAP"]) == training.rounds or cell["error"]]
    rows = defaultdict(list)
    for cell in rounds:
        rows[cell["attack"], cell["bad"], cell["defended"]].append(cell)
    head = ["attack", *(f"{bad} bad, {how}" for bad in ("one", "two") for how in ("without", "with"))]
    keys = [(bad, defended) for bad in (1, 2) for defended in (False, True)]
    lines = [["none", *(_text(rows["", 0, defended]) for _, defended in keys)]]
    lines += [[LABELS[attack], *(_text(rows[attack, *key]) for key in keys)] for attack in ATTACKS]
    first, second, _ = TOPOLOGY.sources
    text = PAGE.format(
        torch=torch.__version__,
        machine=platform.machine(),
        sources=", ".join(TOPOLOGY.sources),
        first=first,
        second=second,
        bad_round=FIRST_BAD_ROUND,
        rounds=training.rounds,
        home=training.home_epochs,
        local=training.local_epochs,
        images=training.epoch_samples,
        seeds=", ".join(str(seed) for seed in sorted({cell["seed"] for cell in rounds})),
        table=table_of(head, lines).rstrip("\n"),
        ended=_ended(rounds),
    )
    page.write_text(text, "utf-8")


def _text(cells: Iterable[Mapping[str, Any]]) -> str:
    cells = list(cells)
    if not cells:
        return "not run"
    if any(cell["error"] for cell in cells):
        return "the run ends"
    return mean_text([cell["mAP"][-1] for cell in cells])


def _ended(cells: Iterable[Mapping[str, Any]]) -> str:
    errors = [cell["error"] for cell in cells if cell["error"]]
    return f'"The run ends" with this message:\n\n> {errors[0]}\n' if errors else ""
