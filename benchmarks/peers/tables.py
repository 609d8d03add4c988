"""The tables of the page."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from fedretina.study import Setting, mean_text, table
from peers.cells import (
    ALONE,
    EVERY,
    FROZEN,
    MAIN,
    ONE,
    RECIPES,
    ROUNDS,
    SELF,
    SHARES,
    TURNS,
    Data,
    counts,
    of_count,
    relative_only,
    unlimited,
    with_rounds,
)  # fmt: skip
from peers.numbers import Difference, Make, Scores, correlations


def recipe(method: str) -> Make:
    """Give the function that makes a recipe's cell."""
    return partial(replace, method=method)


def percent(share: float) -> str:
    """Write a share of labels."""
    return f"{100 * share:.0f} %"


def of_share(every: Iterable[Setting], share: float) -> list[Setting]:
    """List the bases of a share of labels."""
    return [base for base in every if base.labelled == share]


def shown(difference: Difference | None) -> str:
    """Write a difference; empty if nothing was measured."""
    return "" if difference is None else str(difference)


def main_table(scores: Scores, every: Sequence[Setting]) -> str:
    """Compare the recipes with all sources: score, differences, traffic."""
    rows = []
    for share in SHARES:
        some = of_share(every, share)
        for method, name in RECIPES.items():
            own = recipe(method)
            if not scores.values(map(own, some)):
                continue
            over = ["" if method == other else shown(scores.difference(some, own, recipe(other))) for other in (SELF, ONE)]
            sent = [scores.text(map(own, some), "transfers", ".0f"), scores.text(map(own, some), "megabytes", ".2f")]
            pairs = str(len(scores.values(map(own, some))))
            rows.append([percent(share), name, scores.text(map(own, some)), *over, pairs, *(s.split(" ±")[0] for s in sent)])
    head = ["labels", "recipe", scores.metric, "over self-training", "over C", "cells", "models sent", "MB"]
    return table(head, rows)


def count_table(scores: Scores, every: Sequence[Setting]) -> str:
    """Compare the numbers of sources, and the last number with the one before."""
    most = max(len(base.sources) for base in every)
    rows = []
    for share in SHARES:
        some = of_share(every, share)
        for method, name in ALONE.items():
            cells = scores.values(map(recipe(method), some))
            alone = mean_text(cells, error=True) if cells else ""
            rows.append([percent(share), name, alone, *[""] * (most + 1), str(len(cells))])
        for method in MAIN:
            complete = whole(scores, some, method)
            texts = [_count_text(scores, complete, method, count) for count in range(1, most + 1)]
            all_of_them, two = (partial(of_count, method=method, count=count) for count in (most, 2))
            gain = shown(scores.difference(complete, all_of_them, two))
            rows.append([percent(share), RECIPES[method], "", *texts, gain, str(len(complete))])
    return table(["labels", "recipe", *map(str, range(most + 1)), f"{most} over 2 sources", "cells"], rows)


def whole(scores: Scores, some: Sequence[Setting], method: str) -> list[Setting]:
    """List the bases on which a recipe was measured with each number of sources."""
    return [
        base for base in some if all(scores.of(of_count(base, method, count)) is not None for count in counts(base, method))
    ]


def _count_text(scores: Scores, some: Sequence[Setting], method: str, count: int) -> str:
    wanted = [of_count(base, method, count) for base in some if count in counts(base, method)]
    return scores.text(wanted)


def limit_table(scores: Scores, data: Data, every: Sequence[Setting]) -> str:
    """Show by target what the limits of R_m do."""
    rows = []
    for share in SHARES:
        for target in data.targets:
            some = [base for base in of_share(every, share) if base.target == target.name]
            risks = [_best_risk(scores, base) for base in some]
            known = [risk for risk in risks if risk is not None]
            if not known:
                continue
            turns = [replace(base, method=TURNS) for base in some]
            gains = [
                shown(scores.difference(some, make, recipe(SELF))) for make in (unlimited, relative_only, recipe(TURNS))
            ]
            own, passed = scores.text(turns, "risk.own", ".2f"), scores.text(turns, "turns.sources")
            best = mean_text(known, ".2f", error=True)
            rows.append([percent(share), target.name, best, own, passed, *gains])
    head = ["labels", "target", "best R_m", "own risk", "sources that pass", "no limit", "relative limit", "both limits"]
    return table(head, rows)


def risk_table(scores: Scores, every: Sequence[Setting]) -> str:
    """Show R_m of each source beside what co-training gains, by cell."""
    rows = []
    for base in sorted(every, key=lambda base: (-base.labelled, base.seed)):
        found = scores.store.load(replace(base, method=TURNS)) or {}
        risks = [found[f"risk.{source}"] for source in base.sources if f"risk.{source}" in found]
        if risks:
            gains = [shown(scores.difference([base], recipe(TURNS), recipe(other))) for other in (SELF, ONE)]
            spread = f"{max(risks) / min(risks):.2f}"
            rows.append([percent(base.labelled), str(base.seed), *(f"{risk:.2f}" for risk in risks), spread, *gains])
    names = [f"R_m of {source}" for source in every[0].sources]
    return table(["labels", "seed", *names, "largest / smallest", "B over self-training", "B over C"], rows)


def _best_risk(scores: Scores, base: Setting) -> float | None:
    found = scores.store.load(replace(base, method=TURNS)) or {}
    risks = [found[f"risk.{source}"] for source in base.sources if f"risk.{source}" in found]
    return min(risks) if risks else None


def round_table(scores: Scores, every: Sequence[Setting]) -> str:
    """Compare numbers of body rounds, and of epochs between two averages."""
    some, rows = of_share(every, SHARES[0]), []
    for rounds in ROUNDS:
        rows.append(_round_row(scores, some, f"{rounds} body rounds", partial(with_rounds, rounds=rounds)))
    for epochs in EVERY:
        make = partial(replace, method=TURNS, average_every=epochs)
        rows.append(_round_row(scores, some, f"an average every {epochs} epochs", make))
    return table(["B with", scores.metric, "over self-training", "over the default", "cells", "models sent"], rows)


def _round_row(scores: Scores, some: Sequence[Setting], name: str, make: Make) -> list[str]:
    cells = list(map(make, some))
    over = [shown(scores.difference(some, make, recipe(SELF))), shown(scores.difference(some, make, recipe(TURNS)))]
    sent = scores.text(cells, "transfers", ".0f").split(" ±")[0]
    return [name, scores.text(cells), *over, str(len(scores.values(cells))), sent]


def label_table(scores: Scores, every: Sequence[Setting]) -> str:
    """Show how the held-out accuracy of the pseudo-labels develops."""
    rows = []
    for share in SHARES:
        for method in MAIN:
            cells = list(map(recipe(method), of_share(every, share)))
            names = ("committee.first", "committee.best", "committee.accuracy")
            falls = [
                best - last
                for best, last in zip(scores.values(cells, names[1]), scores.values(cells, names[2]), strict=True)
            ]
            if falls:
                most = f"{max(falls):.1f}"
                rows.append([percent(share), RECIPES[method], *(scores.text(cells, name) for name in names), most])
    return table(["labels", "recipe", "first", "best", "last", "largest fall"], rows)


def prediction(scores: Scores, every: Sequence[Setting]) -> str:
    """Say which numbers, known before the training, go with the gain of co-training without limits."""
    facts = []
    for base in every:
        found = scores.store.load(replace(base, method=TURNS)) or {}
        risks = [found[f"risk.{source}"] for source in base.sources if f"risk.{source}" in found]
        free, plain = scores.of(unlimited(base)), scores.of(replace(base, method=SELF))
        if risks and free is not None and plain is not None and "risk.own" in found:
            facts.append((free - plain, min(risks), max(risks) / min(risks), found["risk.own"] - min(risks)))
    if len(facts) < 3:
        return ""
    names = ("level: the smallest R_m", "spread: largest over smallest R_m", "own risk less the smallest R_m")
    taus = correlations(facts, names)
    strongest = max(taus, key=lambda name: abs(taus[name]))
    rows = [[name, f"{tau:+.2f}"] for name, tau in taus.items()]
    text = table([f"number before the training ({len(facts)} cells)", "Kendall's tau with the gain"], rows)
    means = [_mean([gain for gain, *_, margin in facts if (margin >= 0) == wanted]) for wanted in (True, False)]
    return f"""{text}
The strongest is "{strongest.partition(":")[0]}". Where the best source passes the absolute limit, the gain is {means[0]}.
Where none passes, it is {means[1]}.
"""


def _mean(values: Sequence[float]) -> str:
    return mean_text(values, "+.1f", error=True) if values else "not measured"


def new_table(scores: Scores, every: Sequence[Setting]) -> str:
    """Compare no new identities with new identities at few labels."""
    some, rows = of_share(every, min(SHARES)), []
    for method, new in ((FROZEN, "committee-new"), (TURNS, "joint-turns-new")):
        if difference := scores.difference(some, recipe(method), recipe(new)):
            cells = [list(map(recipe(name), some)) for name in (method, new)]
            texts = [scores.text(group) for group in cells]
            right = [scores.text(group, "committee.accuracy") for group in cells]
            rows.append([RECIPES[method], *texts, str(difference), str(len(difference.values)), *right])
    head = ["recipe", "none", "new", "none over new", "pairs", "held out: none", "held out: new"]
    return table(head, rows) if rows else ""
