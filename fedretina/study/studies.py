"""The studies: the paper's experiments, and the comparison of reuse with other methods."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fedretina.study import paper
from fedretina.study.cell import VERSIONS
from fedretina.study.grid import Cell, Grid, Study
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
"""Table 3's rows without reuse: the key in `paper.LOSSES`, our name, and the fields that differ from softmax alone."""
FROM_SCRATCH = (
    "Eq. 1 from scratch, as in the paper. R is divided by each source's variance, so gamma has another scale than the "
    "paper's. Its default is 0.3, as in the app."
)


def table2(base: Setting, quick: bool) -> Study:
    """Table 2: gamma, for pairs of sources."""
    gammas = (base.gamma, 1.0, 5.0) if quick else (base.gamma, *paper.GAMMAS)
    cells = {}
    for pair in (subset for subset in subsets(base.sources) if len(subset) == min(2, len(base.sources))):
        for gamma in gammas:
            setting = replace(base, method="reuse", sources=pair, gamma=gamma)
            cells[" + ".join(pair), f"{gamma:g}"] = Cell(setting, ("mAP",), paper.table2(pair, gamma))
    grid = Grid("mAP over gamma", "sources", cells, axis="gamma", kind="lines", scale="log")
    question = "How much does the weight of reuse matter, with two sources?"
    return Study("table2", "Table 2: gamma", question, (grid,), (FROM_SCRATCH,))


def table3(base: Setting, quick: bool) -> Study:
    """Table 3: losses without reuse, and softmax with every set of sources."""
    del quick
    cells = {}
    for key, (name, differs) in LOSSES.items():
        setting = replace(base, **({"method": "alone"} | differs))
        cells[name, "mAP / Rank-1"] = Cell(setting, paper=paper.LOSSES[key])
    for names in subsets(base.sources):
        setting = replace(base, method="reuse", sources=names)
        cells[" + ".join(["", *names]).strip(), "mAP / Rank-1"] = Cell(setting, paper=paper.TABLE3.get(frozenset(names), ()))
    percent = f"{100 * base.labelled:.0f} % labelled"
    grid = Grid(f"{base.target}, {percent}", "", cells)
    question = "Does reuse of peers' models help more than a better loss does, and do more sources help more?"
    return Study("table3", "Table 3: losses, and reuse", question, (grid,), (FROM_SCRATCH,))


def table4(base: Setting, quick: bool) -> Study:
    """Table 4: the accuracy of models after they were sent."""
    del quick
    return Study(
        "table4",
        "Table 4: accuracy after the wire",
        "How accurate is a model that was sent in steps of 10^-c, with a difference of models and without?",
        tuple(_sent(base, name) for name in ROUNDINGS),
        ("V0 to V3 are the target after 40, 60, 80 and 100 % of its training with Eq. 1. Both ends have V0.",),
    )


def _sent(base: Setting, rounding: str) -> Grid:
    setting, cells = replace(base, method=VERSIONS), {}
    for coding, name in (("dom", "with DoM"), ("plain", "without")):
        for i in (1, 2, 3):
            cells[f"V{i} {name}", "as it was"] = Cell(setting, (f"V{i}.mAP",), (paper.ORIGINAL[i - 1],))
            for bits in BITS:
                printed = (paper.TABLE4[coding, bits][i - 1],)
                cells[f"V{i} {name}", f"{bits}"] = Cell(setting, (f"{rounding}.{coding}.c{bits}.V{i}.mAP",), printed)
    formula = {"symmetric": "symmetric rounding", "literal": "Eq. 6 as printed, round(x + 0.3)"}[rounding]
    return Grid(f"mAP, {formula}", "c", cells, axis="c, steps of 10^-c", kind="lines", digits=2)


def fig4(base: Setting, quick: bool) -> Study:
    """Fig. 4: one source, over the unlabelled fraction and over gamma."""
    shares = (0.3, 0.7, 0.9) if quick else tuple(i / 10 for i in range(1, 10))
    gammas = (0.125, 1.0, 8.0) if quick else tuple(2.0**i for i in range(-3, 4))
    sources = base.sources[:2] if quick else base.sources
    rows = {"alone": replace(base, method="alone")}
    rows |= {source: replace(base, method="reuse", sources=(source,)) for source in sources}
    by_share = {
        (row, f"{100 * share:.0f}"): Cell(replace(setting, labelled=round(1 - share, 6)))
        for row, setting in rows.items()
        for share in shares
    }
    by_gamma = {
        (row, f"{gamma:g}"): Cell(setting if row == "alone" else replace(setting, gamma=gamma))
        for row, setting in rows.items()
        for gamma in gammas
    }
    grids = (
        Grid("Over the unlabelled fraction", "source", by_share, axis="% unlabelled", kind="lines"),
        Grid("Over gamma", "source", by_gamma, axis="gamma", kind="lines", scale="log"),
    )
    question = "Is the reuse of one source better than none, for every unlabelled fraction and every gamma?"
    notes = (FROM_SCRATCH, "The paper prints no numbers for Fig. 4.")
    return Study("fig4", "Fig. 4: one source", question, grids, notes)


def fig5(base: Setting, quick: bool) -> Study:
    """Fig. 5: compression with and without DoM."""
    del quick
    setting, cells = replace(base, method=VERSIONS), {}
    for coding, name in (("dom", "with DoM"), ("plain", "without DoM")):
        for i in (1, 2, 3):
            for bits in BITS:
                metric = f"symmetric.{coding}.c{bits}.V{i}.ratio"
                cells[f"V{i} {name}", f"{bits}"] = Cell(setting, (metric,))
    grid = Grid("Compression ratio", "", cells, axis="c, steps of 10^-c", kind="lines", metric="raw bytes / sent bytes")
    question = "How many times smaller than the raw weights are the payloads, with and without a difference of models?"
    notes = ("Payloads of `fedretina.dom`, headers included; the paper prints no numbers for Fig. 5.",)
    return Study("fig5", "Fig. 5: compression", question, (grid,), notes)


ABLATION = {
    "Baselines": ("alone", "direct", "finetune", "all-labels"),
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
        "committee-new",
        "committee-open",
        "committee-damping",
    ),
    "Other reuse": ("fmr", "fmr-start", "consistency", "experts", "distillation"),
    "Federated": ("fedavg", "fedavg-tuned", "fedprox", "fedper", "fedbn"),
}
NOT_IN_QUICK = {
    "reuse-uniform", "reuse-nonlinear", "self", "committee-two", "committee-scratch", "committee-plain",
    "committee-ungrouped", "committee-new", "committee-open", "committee-damping", "fmr-start", "fedper",
}  # fmt: skip
"""Variants that a quick ablation leaves out, so that it ends within ten minutes."""


def ablation(base: Setting, quick: bool) -> Study:
    """Ablation: every part of reuse on, off and alone, and other methods with the same models and labels.

    The fractions of labels are 30 % and 10 %, or only the one that was given.
    """
    shares = (base.labelled,) if quick or base.labelled != Setting.labelled else (base.labelled, 0.1)
    cells = {}
    for names in ABLATION.values():
        for name in (name for name in names if not (quick and name in NOT_IN_QUICK)):
            for share in shares:
                setting = replace(base, method=name, labelled=share, loss="softmax+triplet")
                cells[METHODS[name].label, f"{100 * share:.0f} % labelled"] = Cell(setting)
    notes = (
        "All rows: softmax and batch-hard triplet loss, the same number of steps of the target, and its last state.",
        "Rows with * need the sources' networks at test time.",
        "Federated rows: all domains train from one initial model, one epoch per round; the sources have no own training.",
    )
    question = "What does each part of reuse contribute, and what do other methods reach with the same data, loss and steps?"
    return Study("ablation", "Ablation", question, (Grid(base.target, "", cells),), notes)


PEERS = {
    "self-start": "self-training from the best source",
    "committee": "committee of frozen sources",
    "joint-body": "A: joint body",
    "one": "C: co-training with the best source",
    "joint-turns": "B: joint body, co-training in turn",
}
"""The recipes of the study of peers, by method."""
PEER_CONTROLS = (
    "finetune", "turns", "joint-one", "joint-all", "joint-turns-equal", "joint-turns-risk", "joint-turns-new", "soup",
    "fedavg-equal", "fedprox-equal", "fedbn-equal", "all-labels",
)  # fmt: skip
UNCOUNTED = {"finetune", "soup", "all-labels"}
"""The methods that do not count what they send."""


def peers(base: Setting, quick: bool) -> Study:
    """Peers: what M = 0, 1, 2, ... sources are worth, by recipe; the sources are taken in the order that was given."""
    base = replace(base, loss="softmax+triplet")
    notes = (
        f"Joint bodies: {base.body_rounds} rounds within the epochs at home. Co-training: an average every "
        f"{base.average_every} epochs; the target's weight is {base.share_target:g}; the last {base.alone_last} alone.",
        "Models sent: each model or body on its way to the server or to a domain. MB: their payloads in DoM.",
        "Equal budget: as many steps of every domain, and about as many models sent, as in B. All rows take the same steps "
        "of the target, except the soup: it trains one student for each source.",
    )
    question = "Are several peers worth more than one, and what does it cost on the wire?"
    return Study("peers", "Peers that teach each other", question, (_by_count(base), _traffic(base, quick)), notes)


def _by_count(base: Setting) -> Grid:
    cells = {("target alone", "0"): Cell(replace(base, method="alone"), ("mAP",))}
    cells["self-training, from scratch", "0"] = Cell(replace(base, method="self"), ("mAP",))
    for method, label in PEERS.items():
        for count in range(1, len(base.sources) + 1):
            cells[label, f"{count}"] = Cell(replace(base, method=method, sources=base.sources[:count]), ("mAP",))
    return Grid("mAP over the number of sources", "recipe", cells, axis="sources", kind="lines")


def _traffic(base: Setting, quick: bool) -> Grid:
    cells = {}
    for method in (*PEERS, *(() if quick else PEER_CONTROLS)):
        setting, label = replace(base, method=method), METHODS[method].label
        cells[label, "mAP / Rank-1"] = Cell(setting)
        if method not in UNCOUNTED:
            cells[label, "models sent"] = Cell(setting, ("transfers",))
            cells[label, "MB"] = Cell(setting, ("megabytes",))
    return Grid("All sources: mAP beside the traffic", "recipe", cells)


STUDIES: Mapping[str, Make] = {
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "fig4": fig4,
    "fig5": fig5,
    "ablation": ablation,
    "peers": peers,
}
"""The studies by name. Each is a function of the settings that all cells share, and of whether fewer cells are wanted."""
