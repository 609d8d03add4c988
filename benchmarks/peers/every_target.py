"""The page docs/results/every-target.md: the same comparison with every domain of a data set as the target."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

from fedretina.atomic import write_text
from fedretina.strategies.mutual_reuse import domain_sketch
from fedretina.strategies.selection import sketch_distance
from fedretina.study import Results, Setting, Store, mean_text, table
from fedretina.task import Task
from peers import tables
from peers.cells import (
    COMPARED,
    EVERY_PERSON,
    OMNIGLOT,
    ONE,
    OTHERS,
    RECIPES,
    SELF,
    SHARES,
    TURNS,
    Data,
    bases,
    of_count,
)  # fmt: skip
from peers.numbers import Difference, Scores, correlations
from peers.page import LEAST_OVER_ONE, LEAST_OVER_SELF, ROOT, aim, met, under_zero

NUMBERS = ("level: the smallest R_m", "spread: largest over smallest R_m")
LEAST_CELLS = 8
"""So many cells must be measured before a correlation is shown."""
DISTANCES = ("distance of sketches to the nearest source", "mean distance of sketches")
PAGE = ROOT / "docs" / "results" / "every-target.md"
TEXT = """# Every domain a target, measured

After this page you know on which targets co-training with several sources is worth more than one source, and more than none.

Written by `python benchmarks/peers OUT --every-target` ({machine}, {cores} cores); don't edit. [Several peers](peers.md)
explains the recipes: self-training from the best source, C (co-training with the best source), B (joint body, then
co-training with three sources in turn). All take equal steps of the target. mAP in percent, means over seeds ± standard
errors. Differences are paired by target, share of labels and seed. "All targets" is the mean over targets, with its
standard error over targets.

FedAvg, FedProx and FedBN take as many steps of every domain as B and about as many transfers, and are then fine-tuned; they
have no pseudo-labels. The soup averages three students, each self-trained from one source: it takes three times the target's
steps. A target is one where three sources are worse than two if the difference is more than two standard errors under 0.
The distance of sketches is the sum of the angles between the principal directions of two domains' pictures (PACFL), as a
city measures it. The finished cells are in `docs/results/every-target-cells.tar.xz`: unpack them into OUT, and `--stored`
writes this page again.

- **Rendered pedestrians**: the embedded data at {person_pixels} pixels; seeds {person_seeds}, which also draw the sources'
  weights and the labelled images. A target has the other three domains as sources.
- **Omniglot**: eight alphabets as domains, {omniglot_pixels} pixels; seeds {omniglot_seeds}. An alphabet's training set
  has 12 characters by 20 drawers. Sources are the three alphabets that follow in the alphabetical order.

{sections}## The aims

{aims}
The aims were set for real persons. These data are rendered, or letters.
"""


def write(store: Store, seeds: Mapping[str, Sequence[int]], *, page: Path = PAGE) -> str:
    """Write the page; `seeds` has those of each data set by its name."""
    found = [(data, Scores(store, data.metric), bases(data, seeds[data.name])) for data in (EVERY_PERSON, OMNIGLOT)]
    sections = (
        f"## {data.name.capitalize()}\n\n{_table(data, scores, every)}\n"
        f"Methods of others, on the cells that have them; B on the same ones:\n\n{_others(scores, every)}\n"
        f"B with the first two sources and with all three:\n\n{_counts(data, scores, every)}\n"
        f"Numbers before the training, and the gain of B over self-training:\n\n{_prediction(scores, every)}\n"
        for data, scores, every in found
    )
    text = TEXT.format(
        machine=platform.machine(),
        cores=os.cpu_count(),
        person_pixels=f"{EVERY_PERSON.differs.height} x {EVERY_PERSON.differs.width}",
        omniglot_pixels=f"{OMNIGLOT.differs.height} x {OMNIGLOT.differs.width}",
        person_seeds=_seeds(*found[0]),
        omniglot_seeds=_seeds(*found[1]),
        sections="".join(sections),
        aims=_aims(found),
    )
    write_text(page, text)
    return text


def _measured(scores: Scores, every: Sequence[Setting]) -> list[Setting]:
    """List the bases on which all recipes were measured."""
    return [base for base in every if all(scores.of(tables.recipe(method)(base)) is not None for method in COMPARED)]


def _seeds(data: Data, scores: Scores, every: Sequence[Setting]) -> str:
    return ", ".join(map(str, sorted({base.seed for base in _measured(scores, every)}))) or "none yet"


def _table(data: Data, scores: Scores, every: Sequence[Setting]) -> str:
    rows = []
    for share in SHARES:
        some = _measured(scores, tables.of_share(every, share))
        for target in data.targets:
            if own := [base for base in some if base.target == target.name]:
                means = [scores.text(map(tables.recipe(method), own)) for method in COMPARED]
                rows.append(
                    [tables.percent(share), target.name, *means, *map(tables.shown, _gains(scores, own)), str(len(own))]
                )
        if some:
            rows.append(
                [tables.percent(share), "all targets", *[""] * len(COMPARED), *_over_targets(data, scores, some), ""]
            )
    return table(["labels", "target", "self-training", "C", "B", "B over self-training", "B over C", "seeds"], rows)


def _others(scores: Scores, every: Sequence[Setting]) -> str:
    rows = []
    for share in SHARES:
        for method in OTHERS:
            some = [
                base
                for base in _measured(scores, tables.of_share(every, share))
                if scores.of(tables.recipe(method)(base)) is not None
            ]
            if not some:
                continue
            own = [*map(tables.recipe(method), some)]
            lead = scores.difference(some, tables.recipe(TURNS), tables.recipe(method))
            texts = [scores.text(own), scores.text(map(tables.recipe(TURNS), some)), tables.shown(lead)]
            sent = scores.text(own, "transfers", ".0f").split(" ±")[0]
            rows.append([tables.percent(share), RECIPES[method], *texts, sent, str(len(some))])
    head = ["labels", "method", scores.metric, "B", "B over it", "models sent", "cells"]
    return table(head, rows) if rows else "Not measured.\n"


def _counts(data: Data, scores: Scores, every: Sequence[Setting]) -> str:
    rows = []
    for share in SHARES:
        two, three = (partial(of_count, method=TURNS, count=count) for count in (2, 3))
        some = [
            base for base in tables.of_share(every, share) if all(scores.of(make(base)) is not None for make in (two, three))
        ]
        gain = scores.difference(some, three, two)
        if gain is None:
            continue
        by_target = {
            target.name: scores.difference([base for base in some if base.target == target.name], three, two)
            for target in data.targets
        }
        worse = [name for name, found in by_target.items() if found is not None and found.verdict == "worse"]
        texts = [scores.text(map(make, some)) for make in (two, three)]
        rows.append([tables.percent(share), *texts, str(gain), gain.verdict, ", ".join(worse) or "none", str(len(some))])
    head = ["labels", "two sources", "three", "three over two", "", "targets where three are worse", "cells"]
    return table(head, rows) if rows else "Not measured.\n"


def _prediction(scores: Scores, every: Sequence[Setting]) -> str:
    """Show Kendall's tau of numbers that are known before the training with the gain."""
    facts, far = [], []
    for base in _measured(scores, every):
        turns = scores.store.load(tables.recipe(TURNS)(base)) or {}
        risks = [turns[f"risk.{source}"] for source in base.sources if f"risk.{source}" in turns]
        (gain,) = scores.differences([base], tables.recipe(TURNS), tables.recipe(SELF))
        if risks:
            facts.append((gain, min(risks), max(risks) / min(risks)))
        if (entry := distances(scores.store, base.data).entry(base.target)) is not None:
            far.append((gain, *(of([*entry.value.values()]) for of in (min, fmean))))
    rows = [
        [name, f"{tau:+.2f}", str(len(found))]
        for found, names in ((facts, NUMBERS), (far, DISTANCES))
        if len(found) >= LEAST_CELLS
        for name, tau in correlations(found, names).items()
    ]
    return table(["number", "Kendall's tau with the gain", "cells"], rows) if rows else "Not measured.\n"


def measure_distances(store: Store, data: Data, make_task: Callable[[Setting], Task]) -> None:
    """Store how far the sketches of each target's sources are from its own."""
    for target in data.targets:
        base = data.base(target, 0, max(SHARES))
        distances(store, base.data).measured(target.name, lambda: _distances(make_task(base), base))  # noqa: B023


def _distances(task: Task, base: Setting) -> dict[str, float]:
    sketches = {name: domain_sketch(task, task.splits(name), base.training()) for name in (base.target, *base.sources)}
    return {name: sketch_distance(sketches[base.target], sketches[name]) for name in base.sources}


def distances(store: Store, data: str) -> Results:
    """Return the store of the distances of some data, by target."""
    return Results(store.folder / "distances" / data)


def _gains(scores: Scores, some: Sequence[Setting]) -> list[Difference | None]:
    return [scores.difference(some, tables.recipe(TURNS), tables.recipe(other)) for other in (SELF, ONE)]


def _over_targets(data: Data, scores: Scores, some: Sequence[Setting]) -> list[str]:
    """Write the mean over targets of both gains, with its standard error over targets."""
    by_target = [_gains(scores, [base for base in some if base.target == target.name]) for target in data.targets]
    columns = zip(*by_target, strict=True)
    return [mean_text([gain.mean for gain in gains if gain is not None], "+.1f", error=True) for gains in columns]


def _aims(found: Sequence[tuple[Data, Scores, list[Setting]]]) -> str:
    rows = []
    for data, scores, every in found:
        for share in SHARES:
            over_self, over_one = _gains(scores, _measured(scores, tables.of_share(every, share)))
            if over_self is None or over_one is None:
                continue
            where, least = f"{data.name}, {tables.percent(share)}", LEAST_OVER_SELF[share]
            rows += [
                aim(where, f"B over self-training: at least {least:+.1f}", over_self, least),
                [where, "no cell under 0", under_zero(over_self), met(min(over_self.values) >= 0)],
            ]  # fmt: skip
        both = _gains(scores, _measured(scores, every))[1]
        if both is not None:
            rows.append(aim(f"{data.name}, both shares", f"B over C: at least {LEAST_OVER_ONE:+.1f}", both, LEAST_OVER_ONE))
    return table(["data, labels", "aim", "measured", ""], rows)
