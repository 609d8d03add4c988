"""Compare a committee of peers with other methods for the target, and write docs/results/committee.md.

    python benchmarks/committee.py --targets duke --seeds 0,1,2
    python benchmarks/committee.py --data-root /data/reid --targets duke,market1501

The data root has one folder per domain, in any supported layout. Without it the embedded pedestrians are rendered. A
target's sources are the three largest other domains. The methods are those of `fedretina study` (`fedretina.study.METHODS`).
Results are stored in the state folder: an interrupted run continues, and several processes may share the folder. The page
shows every data set with results in the state folder.
"""

import argparse
import platform
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from fedretina import home
from fedretina.reid import EMBEDDED, census, render, task_of
from fedretina.report import LIGHT, new_figure, style_axes, to_png
from fedretina.study import METHODS, Cell, Grid, Results, Setting, Store, Study, StudyRunner, mean_text
from fedretina.study import table as table_of

SHOWN = (
    "alone", "direct", "finetune", "all-labels", "reuse", "reuse-start", "self-start", "committee-best", "committee-two",
    "committee", "committee-reuse", "fmr-start", "consistency", "experts", "distillation", "fedavg", "fedavg-tuned",
    "fedprox", "fedper", "fedbn",
)  # fmt: skip
FINETUNED, ALONE = "finetune", "alone"
COMPARISONS = (
    ("committee-best", "self-start"), ("committee-two", "self-start"), ("committee", "self-start"),
    ("committee-two", "committee-best"), ("committee", "committee-best"), ("committee-reuse", "committee"),
)  # fmt: skip
DOMAINS = ("duke", "msmt17", "cuhk03", "market1501")
DOCS = Path(__file__).parent.parent / "docs" / "results"


@dataclass(frozen=True)
class Row:
    """The metrics of one cell, with its data set, target, labelled fraction, seed and method."""

    section: str
    target: str
    labelled: float
    seed: int
    method: str
    precision: float
    rank1: float
    minutes: float


def rows_of(state: Path) -> list[Row]:
    """Read all stored cells, in the order of the tables; cells of another release are left out."""
    rows = []
    for folder in state.glob("*/cells"):
        for entry in Results(folder).entries():
            setting, metrics = entry.notes["setting"], entry.value
            if setting["method"] in SHOWN and entry.key == Setting(**setting | {"sources": tuple(setting["sources"])}).key:
                network = f"{setting['height']} x {setting['width']} pixels, network `{setting['model']}`"
                section = f"{folder.parent.name}: {network}, {setting['epochs']} epochs"
                cell = setting["target"], setting["labelled"], setting["seed"], setting["method"]
                rows.append(Row(section, *cell, metrics["mAP"], metrics["rank1"], metrics["minutes"]))
    return sorted(rows, key=lambda row: (row.section, -row.labelled, row.target, SHOWN.index(row.method), row.seed))


def table(rows: Sequence[Row]) -> str:
    """Write the metrics: a row per method, a column per target and labelled fraction."""
    cells = defaultdict(list)
    for row in rows:
        cells[row.target, row.labelled, row.method].append(row)
    columns = list(dict.fromkeys((row.target, row.labelled) for row in rows))
    lines = []
    for method in dict.fromkeys(row.method for row in sorted(rows, key=lambda row: SHOWN.index(row.method))):
        shown = (cells[(*column, method)] for column in columns)
        texts = (
            f"{mean_text([c.precision for c in cell])} / {np.mean([c.rank1 for c in cell]):.1f}" if cell else ""
            for cell in shown
        )
        lines.append([METHODS[method].label, *texts])
    return table_of(["", *(f"{target}, {100 * part:.0f} %" for target, part in columns)], lines).rstrip("\n")


def gains(rows: Sequence[Row], baseline: str = FINETUNED) -> dict[tuple[str, float], list[float]]:
    """Compute the gains in points of mAP over a baseline, paired by target and seed; by method and labelled fraction."""
    reference = {(row.target, row.labelled, row.seed): row.precision for row in rows if row.method == baseline}
    found = defaultdict(list)
    for row in rows:
        if row.method != baseline and (pair := reference.get((row.target, row.labelled, row.seed))) is not None:
            found[row.method, row.labelled].append(row.precision - pair)
    return found


def gain_text(values: Sequence[float]) -> str:
    """Write the mean gain, with its standard error if there are several values."""
    return mean_text(values, "+.1f", error=True)


def gain_table(rows: Sequence[Row]) -> str:
    """Write the gains over fine-tuning and over the target alone: mean, standard error, smallest, number of cells."""
    lines = []
    over, alone = gains(rows), gains(rows, ALONE)
    for method, part in sorted(over, key=lambda key: (-key[1], SHOWN.index(key[0]))):
        values, others = over[method, part], alone.get((method, part), [])
        smallest, over_alone = f"{min(values):+.1f}", gain_text(others) if others else ""
        lines.append(
            [f"{100 * part:.0f} %", METHODS[method].label, gain_text(values), smallest, over_alone, str(len(values))]
        )
    head = ["labels", "", "over the fine-tuned best", "smallest", "over the target alone", "cells"]
    return table_of(head, lines).rstrip("\n")


def comparison_table(rows: Sequence[Row]) -> str:
    """Write the gain of each part of a committee over the variant without it; a column per labelled fraction."""
    parts = sorted({row.labelled for row in rows}, reverse=True)
    lines = []
    for variant, baseline in COMPARISONS:
        cells = (gains(rows, baseline).get((variant, part)) for part in parts)
        texts = (f"{gain_text(values)} ({len(values)})" if values else "" for values in cells)
        lines.append([METHODS[variant].label, METHODS[baseline].label, *texts])
    return table_of(["", "over", *(f"{100 * part:.0f} %" for part in parts)], lines).rstrip("\n")


def plot(rows: Sequence[Row]) -> bytes:
    """Plot the gains over fine-tuning: a dot per cell, a bar for the mean, a panel per labelled fraction."""
    over = gains(rows)
    parts = sorted({part for _, part in over}, reverse=True)
    methods = [name for name in SHOWN if any((name, part) in over for part in parts)]
    figure = new_figure(LIGHT, 5.2 * len(parts) + 1.6, 0.9 + 0.3 * len(methods))
    for index, part in enumerate(parts, start=1):
        axes = figure.add_subplot(1, len(parts), index)
        style_axes(axes, LIGHT, title=f"{100 * part:.0f} % labels")
        for y, name in enumerate(methods):
            values = over.get((name, part), [])
            axes.barh(y, np.mean(values) if values else 0, 0.7, color=LIGHT.series[0 if name.startswith("committee") else 4])
            axes.plot(values, [y] * len(values), "o", color=LIGHT.ink, markersize=2.5)
        axes.axvline(0, color=LIGHT.ink, linewidth=1)
        axes.set_yticks(range(len(methods)), [METHODS[name].label for name in methods] if index == 1 else [], fontsize=8.5)
        axes.set_ylim(len(methods) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=LIGHT.grid, linewidth=0.8)
        axes.set_xlabel("points of mAP over the fine-tuned best source", color=LIGHT.muted, fontsize=9)
    return to_png(figure)


PAGE = """# How much a committee of peers helps

Written by `python benchmarks/committee.py` (torch {torch}, {machine}); don't edit.

A target's sources are the three largest other domains of the data set, each trained on all its own labels. All rows of a
table have the same network, loss (softmax + batch-hard triplet), data and number of steps. The last state of the training is
tested. The best source is chosen on the target's labelled images. Cells: mAP / Rank-1 in percent by the standard protocol;
with several seeds, ± the standard deviation. Rows with * need the sources' networks at test time. The methods and their
papers: [studies.md](../guides/studies.md).

{sections}"""
SECTION = """## {title}

Seeds {seeds}; {minutes:.0f} minutes of training on one thread.

{table}

Points of mAP, paired by target and seed, mean ± standard error over all targets and seeds:

{gains}

Gain of each part of a committee, paired in the same way (number of pairs):

{comparisons}

![Gain of each method over the fine-tuned best source](images/committee-{name}.png)
"""


def write(state: Path, page: Path) -> None:
    """Write the page, and one plot per data set."""
    sections, plots = [], Counter[str]()
    rows = rows_of(state)
    (page.parent / "images").mkdir(exist_ok=True)
    for title in dict.fromkeys(row.section for row in rows):
        section, data = [row for row in rows if row.section == title], title.split(":")[0]
        plots[data] += 1
        name = data if plots[data] == 1 else f"{data}-{plots[data]}"
        (page.parent / "images" / f"committee-{name}.png").write_bytes(plot(section))
        seeds = ", ".join(map(str, sorted({row.seed for row in section})))
        facts = {"seeds": seeds, "minutes": sum(row.minutes for row in section)}
        tables = {"table": table(section), "gains": gain_table(section), "comparisons": comparison_table(section)}
        sections.append(SECTION.format(title=title, name=name, **facts, **tables))
    page.write_text(PAGE.format(torch=torch.__version__, machine=platform.machine(), sections="\n".join(sections)), "utf-8")


def studies(options: argparse.Namespace) -> Iterator[Study]:
    """Make one study per target: all methods, with every labelled fraction."""
    root = Path(options.data_root).absolute() if options.data_root else render(home.renderings(), DOMAINS)
    names = sorted(path.name for path in root.iterdir() if path.is_dir()) if options.data_root else DOMAINS
    size = {name: census(root / name).train[0] for name in names}
    height, width = (int(side) for side in options.size.split("x"))
    for target in options.targets.split(","):
        sources = tuple(sorted(sorted((name for name in names if name != target), key=lambda name: -size[name])[:3]))
        base = Setting(
            method="alone", target=target, sources=sources, data=str(root) if options.data_root else EMBEDDED,
            loss="softmax+triplet", model=options.model, height=height, width=width,
            epochs=options.epochs, home_epochs=options.epochs,
        )  # fmt: skip
        yield Study("committee", "", "", (grid(base, options),))


def grid(base: Setting, options: argparse.Namespace) -> Grid:
    cells = product(options.methods.split(","), map(float, options.labelled.split(",")))
    return Grid("", "", {(m, f"{part}"): Cell(replace(base, method=m, labelled=part)) for m, part in cells})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", default="", help="default: the embedded pedestrians")
    parser.add_argument("--targets", required=True, help="comma-separated")
    parser.add_argument("--labelled", default="0.3,0.1")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--methods", default=",".join(SHOWN))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--size", default="64x32", help="height x width")
    parser.add_argument("--model", default="small")
    parser.add_argument("--state", type=Path, default=Path("build/committee"), help="folder of the stored results")
    parser.add_argument("--page", type=Path, default=DOCS / "committee.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    store = Store(options.state / (Path(options.data_root).name if options.data_root else EMBEDDED))
    for seed, study in product(map(int, options.seeds.split(",")), list(studies(options))):
        StudyRunner(task_of, store).measure(study, [seed], Console())
        write(options.state, options.page)


if __name__ == "__main__":
    main()
