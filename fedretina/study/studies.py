"""The paper's experiments, and what its reuse is compared with: which settings, in which tables."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fedretina.study import paper
from fedretina.study.grid import Grid, Point, Study
from fedretina.study.measure import VERSIONS
from fedretina.study.methods import METHODS
from fedretina.study.setting import Setting, subsets
from fedretina.study.versions import BITS, ROUNDINGS

Make = Callable[[Setting, bool], Study]
LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "triplet": ("Triplet", {"loss": "triplet"}),
    "parts": ("PCB", {"head": "parts"}),
    "batch-hard": ("batch-hard triplet", {"loss": "batch-hard"}),
    "aligned": ("AlignedReID", {"loss": "aligned", "head": "parts"}),
    "mutual": ("AlignedReID + mutual learning", {"loss": "aligned", "head": "parts", "method": "mutual"}),
    "softmax": ("softmax (baseline)", {}),
}
"""Table 3's rows without reuse: the paper's key, our name, and what differs from the target alone with softmax."""
FROM_SCRATCH = (
    "Eq. 1 from scratch, as the paper has it. R is scaled by each source's variance, so gamma is not on the paper's scale; "
    "where nothing else stands it is 0.3, the app's."
)


def table2(base: Setting, quick: bool) -> Study:
    """Table 2: gamma, for pairs of sources."""
    gammas = (base.gamma, 1.0, 5.0) if quick else (base.gamma, *paper.GAMMAS)
    points = {}
    for pair in (subset for subset in subsets(base.sources) if len(subset) == min(2, len(base.sources))):
        for gamma in gammas:
            setting = replace(base, method="reuse", sources=pair, gamma=gamma)
            points[" + ".join(pair), f"{gamma:g}"] = Point(setting, ("mAP",), paper.table2(pair, gamma))
    grid = Grid("mAP over gamma", "sources", points, axis="gamma", kind="lines", scale="log")
    question = "How much does the weight of reuse matter, with two sources?"
    return Study("table2", "Table 2: gamma", question, (grid,), (FROM_SCRATCH,))


def table3(base: Setting, quick: bool) -> Study:
    """Table 3: losses without reuse, and softmax with every set of sources."""
    del quick
    points = {}
    for key, (name, differs) in LOSSES.items():
        setting = replace(base, **({"method": "alone"} | differs))
        points[name, "mAP / Rank-1"] = Point(setting, paper=paper.LOSSES[key])
    for names in subsets(base.sources):
        setting = replace(base, method="reuse", sources=names)
        points[" + ".join(["", *names]).strip(), "mAP / Rank-1"] = Point(
            setting, paper=paper.TABLE3.get(frozenset(names), ())
        )
    percent = f"{100 * base.labelled:.0f} % labelled"
    grid = Grid(f"{base.target}, {percent}", "", points)
    question = "Does reuse of peers' models help more than a better loss does, and do more sources help more?"
    return Study("table3", "Table 3: losses, and reuse", question, (grid,), (FROM_SCRATCH,))


def table4(base: Setting, quick: bool) -> Study:
    """Table 4: what models are worth after they were sent."""
    del quick
    return Study(
        "table4",
        "Table 4: accuracy after the wire",
        "What is a model worth that was sent in steps of 10^-c, as a difference of models and without?",
        tuple(_sent(base, name) for name in ROUNDINGS),
        ("V0, which both ends hold, to V3 are the target in training with Eq. 1 after 40, 60, 80 and 100 % of it.",),
    )


def _sent(base: Setting, rounding: str) -> Grid:
    setting, points = replace(base, method=VERSIONS), {}
    for way, words in (("dom", "with DoM"), ("plain", "without")):
        for i in (1, 2, 3):
            points[f"V{i} {words}", "as it was"] = Point(setting, (f"V{i}.mAP",), (paper.ORIGINAL[i - 1],))
            for bits in BITS:
                printed = (paper.TABLE4[way, bits][i - 1],)
                points[f"V{i} {words}", f"{bits}"] = Point(setting, (f"{rounding}.{way}.c{bits}.V{i}.mAP",), printed)
    formula = {"symmetric": "symmetric rounding", "literal": "Eq. 6 as printed, round(x + 0.3)"}[rounding]
    return Grid(f"mAP, {formula}", "c", points, axis="c, steps of 10^-c", kind="lines", digits=2)


def fig4(base: Setting, quick: bool) -> Study:
    """Fig. 4: one source, over the unlabelled part and over gamma."""
    shares = (0.3, 0.7, 0.9) if quick else tuple(i / 10 for i in range(1, 10))
    gammas = (0.125, 1.0, 8.0) if quick else tuple(2.0**i for i in range(-3, 4))
    sources = base.sources[:2] if quick else base.sources
    rows = {"alone": replace(base, method="alone")}
    rows |= {source: replace(base, method="reuse", sources=(source,)) for source in sources}
    by_share = {
        (row, f"{100 * share:.0f}"): Point(replace(setting, labelled=round(1 - share, 6)))
        for row, setting in rows.items()
        for share in shares
    }
    by_gamma = {
        (row, f"{gamma:g}"): Point(setting if row == "alone" else replace(setting, gamma=gamma))
        for row, setting in rows.items()
        for gamma in gammas
    }
    grids = (
        Grid("Over the unlabelled part", "source", by_share, axis="% unlabelled", kind="lines"),
        Grid("Over gamma", "source", by_gamma, axis="gamma", kind="lines", scale="log"),
    )
    question = "Is the reuse of one source better than none, whatever is unlabelled, and whatever gamma is?"
    notes = (FROM_SCRATCH, "The paper prints no numbers for Fig. 4.")
    return Study("fig4", "Fig. 4: one source", question, grids, notes)


def fig5(base: Setting, quick: bool) -> Study:
    """Fig. 5: compression with and without DoM."""
    del quick
    setting, points = replace(base, method=VERSIONS), {}
    for way, words in (("dom", "with DoM"), ("plain", "without DoM")):
        for i in (1, 2, 3):
            for bits in BITS:
                metric = f"symmetric.{way}.c{bits}.V{i}.ratio"
                points[f"V{i} {words}", f"{bits}"] = Point(setting, (metric,))
    grid = Grid("Compression ratio", "", points, axis="c, steps of 10^-c", kind="lines", measure="raw bytes / sent bytes")
    question = "How many times smaller than the raw weights is what is sent, with and without a difference of models?"
    notes = ("Payloads of `fedretina.dom`, headers included; the paper prints no numbers for Fig. 5.",)
    return Study("fig5", "Fig. 5: compression", question, (grid,), notes)


ABLATION = {
    "Yardsticks": ("alone", "direct", "finetune", "oracle"),
    "Eq. 1": ("reuse", "reuse-uniform", "reuse-nonlinear", "reuse-start"),
    "Committee": (
        "self",
        "self-start",
        "committee-best",
        "committee-two",
        "committee",
        "committee-scratch",
        "committee-reuse",
        "committee-plain",
        "committee-ungrouped",
        "committee-closed",
        "committee-open",
        "committee-walk",
    ),
    "Other reuse": ("fmr", "fmr-start", "consistency", "experts", "distillation"),
    "Federated": ("fedavg", "fedavg-tuned", "fedprox", "fedper", "fedbn"),
}
LEFT_OUT = {
    "reuse-uniform", "reuse-nonlinear", "self", "committee-two", "committee-scratch", "committee-plain",
    "committee-ungrouped", "committee-closed", "committee-open", "committee-walk", "fmr-start", "fedper",
}  # fmt: skip
"""Of a quick ablation, which must end in ten minutes: variants of what is there."""


def ablation(base: Setting, quick: bool) -> Study:
    """Every part of reuse on, off and alone, beside what others do with the same models and labels.

    With 30 % and 10 % of the labels; with another part where that is asked for.
    """
    shares = (base.labelled,) if quick or base.labelled != Setting.labelled else (base.labelled, 0.1)
    points = {}
    for names in ABLATION.values():
        for name in (name for name in names if not (quick and name in LEFT_OUT)):
            for share in shares:
                setting = replace(base, method=name, labelled=share, loss="softmax+triplet")
                points[METHODS[name].label, f"{100 * share:.0f} % labelled"] = Point(setting)
    notes = (
        "All with softmax and batch-hard triplet loss, the same steps of the target, its last state.",
        "Rows with * need the sources' networks at test time.",
        "Federated rows: all domains train from one start, an epoch a round, in place of the sources' own training.",
    )
    question = "What does each part of reuse bring, and what do others bring with the same data, loss and steps?"
    return Study("ablation", "Ablation", question, (Grid(base.target, "", points),), notes)


STUDIES: Mapping[str, Make] = {
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "fig4": fig4,
    "fig5": fig5,
    "ablation": ablation,
}
"""By the command's word: makes the study from the settings that all its cells share; quick ones have fewer cells."""
