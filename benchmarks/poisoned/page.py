"""The page docs/results/poisoned.md, from the stored cells."""

import io
import itertools
import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import t as student

from fedretina.atomic import write_bytes
from fedretina.study import Results, mean_and_error, mean_text
from fedretina.study import table as table_of
from fedretina.train import Training
from poisoned.attacks import ATTACKS, SCALE, WRONG
from poisoned.cells import FIRST_BAD_ROUND, TOPOLOGY

PICTURE = "images/poisoned.png"
GAINS = ("attack", "bad peers", "change without", "change with", "gain", "more than without an attack")
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
Cells: the target's mAP in percent after the last round, mean ± standard error over the seeds.

*With*: the defaults. The target admits a peer's version if it is finite and its change is no larger than the peer's history
makes likely (`AdmissionLimits`). The peers' risks on the target's labels give alpha and the weights in the committee.
*Without*: every version is admitted, and all peers have the same weight. In both the committee checks its votes on held-out
labels, and the target starts in round 1 from its best peer.

{table}

{ended}
## What the defences bring

Points of mAP, compared seed by seed: mean ± standard error over the seeds. *Change*: an attack against no attack. *Gain*:
with the defences against without them. *More than without an attack*: the gain less the gain in the first row. The defences
change alpha and the committee also when nobody attacks. So the last column is what they do against the attack.

{gains}

![mAP of each attack with the defences and without, one point a seed]({picture})

{verdict}

## What it does not show

- A peer that is bad from its first version on has no history. Only a model that is not finite is refused then. The risk on
  the target's labels gives other bad models a small weight.
- A peer that changes its model slowly, within the limits of admission, is admitted.
- A backdoor that shows only on images which the target has no labels of does not change the risk. Nothing here finds it.
- A target without labels has no risks. Then only admission is left.
"""


@dataclass(frozen=True)
class Gain:
    """What the defences bring against an attack: the target's last mAP by seed, with and without them."""

    attack: str
    bad: int
    defended: Mapping[int, float]
    open: Mapping[int, float]
    ends_without: bool

    @property
    def gain(self) -> dict[int, float]:
        """By seed: with the defences less without."""
        return _less(self.defended, self.open)

    @property
    def label(self) -> str:
        return f"{self.attack or 'none'}, {self.bad} bad" if self.attack else "none"

    def changes(self, none: "Gain") -> tuple[dict[int, float], dict[int, float]]:
        """By seed, without and with the defences: the attack less no attack."""
        return _less(self.open, none.open), _less(self.defended, none.defended)

    def beyond(self, none: "Gain") -> dict[int, float]:
        """By seed: the gain less the gain without an attack."""
        return _less(self.gain, none.gain)

    def row(self, none: "Gain") -> list[str]:
        """Write a row of the table; `none` is the row without an attack."""
        cells = [_points(found) if self.attack else "" for found in self.changes(none)]
        beyond = _points(self.beyond(none)) if self.attack else ""
        if self.ends_without:
            cells[0], beyond = "the run ends", "the run goes on"
        gain = "" if self.ends_without else _points(self.gain)
        return [LABELS.get(self.attack, "none"), str(self.bad), *cells, gain, beyond]


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
    gains = [_gain(attack, bad, rows) for attack, bad in [("", 0), *itertools.product(ATTACKS, (1, 2))]]
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
        gains=table_of(GAINS, [gain.row(gains[0]) for gain in gains]).rstrip("\n"),
        picture=PICTURE,
        verdict=_verdict(gains),
    )
    page.write_text(text, "utf-8")
    write_bytes(page.parent / PICTURE, plot(gains))


def _gain(attack: str, bad: int, rows: Mapping[tuple[str, int, bool], list[Mapping[str, Any]]]) -> Gain:
    found = {
        how: {cell["seed"]: cell["mAP"][-1] for cell in rows.get((attack, bad, how), []) if not cell["error"]}
        for how in (True, False)
    }
    return Gain(attack, bad, found[True], found[False], any(cell["error"] for cell in rows.get((attack, bad, False), [])))


def _less(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    return {seed: one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())}


def _points(found: Mapping[int, float]) -> str:
    return mean_text(list(found.values()), "+.1f", error=True) if found else "not run"


def _direction(found: Mapping[int, float]) -> int:
    """Return 1 or -1 if the mean over the seeds is more than two standard errors above or below zero; else 0."""
    mean, error = mean_and_error(list(found.values())) if found else (0.0, None)
    if error is None or abs(mean) <= 2 * error:
        return 0
    return 1 if mean > 0 else -1


def _verdict(gains: Sequence[Gain]) -> str:
    """Say which attacks cost something, against what the defences help, and where no help is shown."""
    none, *attacks = gains
    going = [gain for gain in attacks if not gain.ends_without]
    direction = {gain.label: _direction(gain.beyond(none)) for gain in going}
    found = {
        "Without the defences these end the run": [gain.label for gain in attacks if gain.ends_without],
        "Without the defences these cost over two standard errors": [
            gain.label for gain in going if _direction(gain.changes(none)[0]) < 0
        ],
        "With the defences these cost over two standard errors": [
            gain.label for gain in attacks if _direction(gain.changes(none)[1]) < 0
        ],
        "More gain than without an attack, by over two standard errors": [name for name in direction if direction[name] > 0],
        "**Less gain than without an attack**, by over two standard errors": [
            name for name in direction if direction[name] < 0
        ],
        "**No help against the attack is shown**": [name for name in direction if direction[name] == 0],
    }
    lines = [f"- {what}: {'; '.join(labels)}." for what, labels in found.items() if labels]
    if not all(sign > 0 for sign in direction.values()):
        lines.append(
            "- Both arms have the committee, which checks votes on held-out labels. It may be why so little is lost without."
        )
    seeds = len(none.open)
    chance = ""
    if seeds > 1:
        chance = f": chance alone exceeds them to each side in {student.sf(2, seeds - 1):.0%} of the rows (Student's t)"
    lines.append(f"- Two standard errors of {seeds} seeds are weak evidence{chance}. There are {len(going)} such rows.")
    return "\n".join(lines)


def plot(gains: Sequence[Gain]) -> bytes:
    """Draw the target's mAP of each attack: one point a seed."""
    figure = Figure(figsize=(7, 0.36 * len(gains) + 1.1), layout="constrained")
    axes = figure.subplots()
    for row, gain in enumerate(gains):
        for found, shift, style in (
            (gain.open, 0.14, {"marker": "o", "facecolors": "none", "edgecolors": "tab:red"}),
            (gain.defended, -0.14, {"marker": "o", "color": "tab:blue"}),
        ):
            axes.scatter(list(found.values()), [row + shift] * len(found), s=28, **style)  # type: ignore[arg-type]
        if gain.ends_without:
            axes.annotate("ends without", (0.01, row), xycoords=("axes fraction", "data"), va="center", color="tab:red")
    axes.set_yticks(range(len(gains)), [gain.label for gain in gains])
    axes.invert_yaxis()
    axes.set_xlabel("mAP of the target in percent after the last round")
    axes.grid(axis="x", alpha=0.3)
    handles = [
        Line2D([], [], marker="o", linestyle="", color="tab:blue", label="with the defences"),
        Line2D([], [], marker="o", linestyle="", color="tab:red", fillstyle="none", label="without"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _text(cells: Iterable[Mapping[str, Any]]) -> str:
    cells = list(cells)
    if not cells:
        return "not run"
    if any(cell["error"] for cell in cells):
        return "the run ends"
    return mean_text([cell["mAP"][-1] for cell in cells], error=True)


def _ended(cells: Iterable[Mapping[str, Any]]) -> str:
    errors = [cell["error"] for cell in cells if cell["error"]]
    return f'"The run ends" with this message:\n\n> {errors[0]}\n' if errors else ""
