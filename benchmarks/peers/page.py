"""The page docs/results/peers.md and its picture, from the stored cells."""

import os
import platform
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from fedretina.atomic import write_bytes, write_text
from fedretina.report import to_png
from fedretina.study import Setting, Store, table
from peers import tables
from peers.cells import BODY, DIGITS, ONE, PEDESTRIANS, RECIPES, SELF, SHARES, TURNS, Data, bases, of_count
from peers.numbers import Difference, Scores
from peers.pictures import by_count

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results" / "peers.md"
LEAST_OVER_SELF, LEAST_OVER_ONE, MOST_SENT = {0.3: 3.0, 0.1: 3.5}, 1.5, 100
"""The aims: points over self-training by share of labels, points over one peer, models sent with three sources."""
TEXT = """# Several peers, measured

After this page you know when several sources are worth more than one, and what that costs.

Written by `python benchmarks/peers OUT` ({machine}, {cores} cores); don't edit. OUT keeps finished cells. All targets of one
data set take equal steps. Numbers are means ± standard errors; differences are paired by target, share of labels and seed.
Models sent: each model or body on its way to the server or to a domain. MB: their payloads in DoM.

- **Pedestrians**: the embedded data, seeds {pedestrian_seeds}, which also draw the sources' weights and the labelled images.
  They are made harder: {pixels} pixels instead of 64 x 32, and {epochs} epochs instead of 30. Sources train {epochs} epochs
  at home. Target {target}; sources in the order {sources}. [Joint training](joint-training.md) has the app's defaults.
- **Digits**: {digit_seeds} seeds of data, sources and labels; targets {digit_targets}. A domain has 180 samples;
  each target has three sources. "left" and "upside-down" have no source that is like them; "shifted" has one that is
  nearly so.

## In short

{short}

![Score over the number of sources]({picture})

## All sources

FedAvg and FedBN take as many steps of every domain as B, and send about as many models. They have no pseudo-labels.

Pedestrians:

{pedestrians_main}
Digits, all targets together:

{digits_main}
## More sources

Only seeds that have every column. The last column pairs three sources with two.

Pedestrians:

{pedestrians_counts}
Digits:

{digits_counts}
## Sources that are worse than the target itself

Co-training over self-training, by target of digits: with every source, with the relative limit (R_m at most twice the
smallest), and with both limits, as is the default. Own risk: the target's error on held-out labels. How it is
estimated was changed once after cells of digits had been seen, so these seeds are no fresh test of it.

{limits}
On pedestrians each domain has a head of its own. R_m is one minus the mAP on the target's labelled images there, and the
target has no counterpart of it. So the absolute limit does not apply: co-training gains although R_m is as large as that
of digits without a good source. By cell:

{risks}
## What predicts the gain

Digits: co-training with every source over self-training.

{prediction}
Spread and level of R_m on pedestrians are in the table above; six cells are too few for a correlation.

## Fewer body rounds

{share} labels, all sources. Without body rounds the target starts from the best source.

Pedestrians:

{pedestrians_rounds}
Digits:

{digits_rounds}
## New identities

{few} labels, pedestrians: no new identities (the default), and new identities from clusters without a labelled image.

{new}
The held-out check cannot choose between them. Its images are of known identities, so every vote for a new one counts as
wrong there.

## Pseudo-labels over time

Held-out accuracy of the pseudo-labels in percent: the first labelling, the best one and the last one. The last column is
the largest fall from the best to the last, over all cells.

Pedestrians:

{pedestrians_labels}
Digits:

{digits_labels}
No rule that ends labels which get worse is built, since this check cannot see it. Its labels are hidden from the vote only:
the target trains on them, so its own features make the accuracy rise. The falls are single votes of ten to twenty.

## The aims

{aims}
The aims were set for real persons. These data are rendered, or digits.
"""


def write(store: Store, pedestrian_seeds: Sequence[int], digit_seeds: Sequence[int], *, page: Path = PAGE) -> str:
    """Write the page and its picture beside it."""
    found = [
        (data, Scores(store, data.metric), bases(data, seeds))
        for data, seeds in ((PEDESTRIANS, pedestrian_seeds), (DIGITS, digit_seeds))
    ]
    (_, persons, person_bases), (_, digits, digit_bases) = found
    base, target = PEDESTRIANS.differs, PEDESTRIANS.targets[0]
    text = TEXT.format(
        machine=platform.machine(),
        cores=os.cpu_count(),
        pedestrian_seeds=_measured_seeds(persons, person_bases),
        digit_seeds=len(digit_seeds),
        digit_targets=", ".join(each.name for each in DIGITS.targets),
        pixels=f"{base.height} x {base.width}",
        epochs=base.epochs,
        target=target.name,
        sources=", ".join(target.sources),
        picture=page.with_suffix(".png").name,
        short=_in_short(found),
        pedestrians_main=tables.main_table(persons, person_bases),
        digits_main=tables.main_table(digits, digit_bases),
        pedestrians_counts=tables.count_table(persons, person_bases),
        digits_counts=tables.count_table(digits, digit_bases),
        limits=tables.limit_table(digits, DIGITS, digit_bases),
        risks=tables.risk_table(persons, person_bases),
        prediction=tables.prediction(digits, digit_bases),
        share=tables.percent(SHARES[0]),
        few=tables.percent(min(SHARES)),
        pedestrians_rounds=tables.round_table(persons, person_bases),
        digits_rounds=tables.round_table(digits, digit_bases),
        new=tables.new_table(persons, person_bases),
        pedestrians_labels=tables.label_table(persons, person_bases),
        digits_labels=tables.label_table(digits, digit_bases),
        aims=_aims(found),
    )
    write_text(page, text)
    write_bytes(page.with_suffix(".png"), to_png(by_count([(data.name, scores, every) for data, scores, every in found])))
    return text


def _measured_seeds(scores: Scores, every: Sequence[Setting]) -> str:
    seeds = {base.seed for base in every if scores.of(tables.recipe(TURNS)(base)) is not None}
    return ", ".join(map(str, sorted(seeds)))


def _in_short(found: Sequence[tuple[Data, Scores, list[Setting]]]) -> str:
    """Say for each group of targets and share of labels what is shown, and what is not."""
    lines = []
    for data, scores, every in found:
        for group, names in data.groups:
            for share in SHARES:
                some = [base for base in tables.of_share(every, share) if base.target in names]
                if parts := list(_comparisons(scores, some)):
                    lines.append(f"- {group.capitalize()}, {tables.percent(share)} labels: {'; '.join(parts)}.")
    return "\n".join(lines)


def _comparisons(scores: Scores, some: Sequence[Setting]) -> Iterator[str]:
    for method, other in ((TURNS, SELF), (TURNS, ONE), (TURNS, BODY)):
        if difference := scores.difference(some, tables.recipe(method), tables.recipe(other)):
            names = (RECIPES[name].partition(":")[0].removesuffix(" from the best source") for name in (method, other))
            yield f"{' over '.join(names)} {difference} ({difference.verdict})"
    complete = tables.whole(scores, some, TURNS)
    counts = (partial(of_count, method=TURNS, count=count) for count in (3, 2))
    if difference := scores.difference(complete, *counts):
        yield f"B with three sources over B with two {difference} ({difference.verdict})"


def _aims(found: Sequence[tuple[Data, Scores, list[Setting]]]) -> str:
    rows = []
    for data, scores, every in found:
        for share in SHARES:
            some = tables.of_share(every, share)
            over_self = scores.difference(some, tables.recipe(TURNS), tables.recipe(SELF))
            over_one = scores.difference(some, tables.recipe(TURNS), tables.recipe(ONE))
            sent = scores.values((tables.recipe(TURNS)(base) for base in some), "transfers")
            if over_self is None or over_one is None:
                continue
            where = f"{data.name}, {tables.percent(share)}"
            least = LEAST_OVER_SELF[share]
            rows += [
                aim(where, f"B over self-training: at least {least:+.1f}", over_self, least),
                [where, "no cell under 0", under_zero(over_self), met(min(over_self.values) >= 0)],
                aim(where, f"B over C: at least {LEAST_OVER_ONE:+.1f}", over_one, LEAST_OVER_ONE),
                [where, f"at most {MOST_SENT} models sent", f"{max(sent):.0f}", met(max(sent) <= MOST_SENT)],
            ]  # fmt: skip
    return table(["data, labels", "aim", "measured", ""], rows)


def aim(where: str, name: str, difference: Difference, least: float) -> list[str]:
    """Compare a mean difference with an aim."""
    return [where, name, str(difference), met(difference.mean >= least)]


def under_zero(difference: Difference) -> str:
    """Count the pairs in which there is a loss."""
    return f"{sum(value < 0 for value in difference.values)} of {len(difference.values)} are under 0"


def met(is_met: bool) -> str:
    """Say whether an aim is met."""
    return "met" if is_met else "missed"
