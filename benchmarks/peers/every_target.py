"""The page docs/results/every-target.md: the same comparison with every domain of a data set as the target."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from fedretina.atomic import write_text
from fedretina.study import Setting, Store, mean_text, table
from peers import tables
from peers.cells import COMPARED, EVERY_PERSON, OMNIGLOT, ONE, SELF, SHARES, TURNS, Data, bases
from peers.numbers import Difference, Scores
from peers.page import LEAST_OVER_ONE, LEAST_OVER_SELF, ROOT, aim, met, under_zero

PAGE = ROOT / "docs" / "results" / "every-target.md"
TEXT = """# Every domain a target, measured

After this page you know on which targets co-training with several sources is worth more than one source, and more than none.

Written by `python benchmarks/peers OUT --every-target` ({machine}, {cores} cores); don't edit. [Several peers](peers.md)
explains the recipes: self-training from the best source, C (co-training with the best source), B (joint body, then
co-training with three sources in turn). All take equal steps of the target. mAP in percent, means over seeds ± standard
errors. Differences are paired by target, share of labels and seed. "All targets" is the mean over targets, with its
standard error over targets.

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
    text = TEXT.format(
        machine=platform.machine(),
        cores=os.cpu_count(),
        person_pixels=f"{EVERY_PERSON.differs.height} x {EVERY_PERSON.differs.width}",
        omniglot_pixels=f"{OMNIGLOT.differs.height} x {OMNIGLOT.differs.width}",
        person_seeds=_seeds(*found[0]),
        omniglot_seeds=_seeds(*found[1]),
        sections="".join(f"## {data.name.capitalize()}\n\n{_table(data, scores, every)}\n" for data, scores, every in found),
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
