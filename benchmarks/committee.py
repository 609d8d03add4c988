"""Measure what a committee of peers is worth beside what else a target can do, and write docs/committee-results.md.

    python benchmarks/committee.py --targets duke --seeds 0,1,2
    python benchmarks/committee.py --data-root /data/reid --targets duke,market1501

Without a data root the embedded pedestrians are rendered; it holds a folder a domain, in any layout that is read. A target's
sources are the three largest others. Cells are those of `fedretina study` (`fedretina.study.METHODS`): interrupted, it goes
on where it was, and several processes may share a state. The page shows every data set of which something is kept there.
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
from fedretina.study import METHODS, Grid, Point, Results, Setting, Store, Study, StudyRunner
from fedretina.study.tables import mean_text
from fedretina.study.tables import table as table_of

SHOWN = (
    "alone", "direct", "finetune", "oracle", "reuse", "reuse-start", "self-start", "committee-best", "committee-two",
    "committee", "committee-reuse", "fmr-start", "consistency", "experts", "distillation", "fedavg", "fedavg-tuned",
    "fedprox", "fedper", "fedbn",
)  # fmt: skip
BASELINE, LEAST = "finetune", "alone"
STEPS = (
    ("committee-best", "self-start"), ("committee-two", "self-start"), ("committee", "self-start"),
    ("committee-two", "committee-best"), ("committee", "committee-best"), ("committee-reuse", "committee"),
)  # fmt: skip
DOMAINS = ("duke", "msmt17", "cuhk03", "market1501")
DOCS = Path(__file__).parent.parent / "docs"


@dataclass(frozen=True)
class Row:
    """One cell: of which data set, and what came out."""

    section: str
    target: str
    labelled: float
    seed: int
    method: str
    precision: float
    rank1: float
    minutes: float


def rows_of(state: Path) -> list[Row]:
    """Read everything that is kept, in the order of the tables; what another release measured is left out."""
    rows = []
    for folder in state.glob("*/cells"):
        for entry in Results(folder).entries():
            it, numbers = entry.notes["setting"], entry.value
            if it["method"] in SHOWN and entry.key == Setting(**it | {"sources": tuple(it["sources"])}).key:
                network = f"{it['height']} x {it['width']} pixels, network `{it['model']}`"
                section = f"{folder.parent.name}: {network}, {it['epochs']} epochs"
                cell = it["target"], it["labelled"], it["seed"], it["method"]
                rows.append(Row(section, *cell, numbers["mAP"], numbers["rank1"], numbers["minutes"]))
    return sorted(rows, key=lambda row: (row.section, -row.labelled, row.target, SHOWN.index(row.method), row.seed))


def table(rows: Sequence[Row]) -> str:
    """A column a target and part of labels."""
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


def gains(rows: Sequence[Row], baseline: str = BASELINE) -> dict[tuple[str, float], list[float]]:
    """Points of mAP that methods bring over one of them, paired by target and seed, by method and part of labels."""
    beside = {(row.target, row.labelled, row.seed): row.precision for row in rows if row.method == baseline}
    found = defaultdict(list)
    for row in rows:
        if row.method != baseline and (pair := beside.get((row.target, row.labelled, row.seed))) is not None:
            found[row.method, row.labelled].append(row.precision - pair)
    return found


def gained(values: Sequence[float]) -> str:
    """Write a mean, and the standard error where there are several."""
    return mean_text(values, "+.1f", error=True)


def gain_table(rows: Sequence[Row]) -> str:
    """Over fine-tuning, and over the target alone: mean, standard error, the least of all cells, and their number."""
    lines = []
    over, alone = gains(rows), gains(rows, LEAST)
    for method, part in sorted(over, key=lambda key: (-key[1], SHOWN.index(key[0]))):
        values, others = over[method, part], alone.get((method, part), [])
        least, beside = f"{min(values):+.1f}", gained(others) if others else ""
        lines.append([f"{100 * part:.0f} %", METHODS[method].label, gained(values), least, beside, str(len(values))])
    head = ["labels", "", "over the fine-tuned best", "least", "over the target alone", "cells"]
    return table_of(head, lines).rstrip("\n")


def step_table(rows: Sequence[Row]) -> str:
    """What each part of a committee adds to the one without it: mean and standard error, a column a part of labels."""
    parts = sorted({row.labelled for row in rows}, reverse=True)
    lines = []
    for more, less in STEPS:
        cells = (gains(rows, less).get((more, part)) for part in parts)
        texts = (f"{gained(values)} ({len(values)})" if values else "" for values in cells)
        lines.append([METHODS[more].label, METHODS[less].label, *texts])
    return table_of(["", "over", *(f"{100 * part:.0f} %" for part in parts)], lines).rstrip("\n")


def plot(rows: Sequence[Row]) -> bytes:
    """Draw the gains over fine-tuning: a dot a cell, a bar for the mean; a panel a part of labels."""
    over = gains(rows)
    parts = sorted({part for _, part in over}, reverse=True)
    methods = [name for name in SHOWN if any((name, part) in over for part in parts)]
    figure = new_figure(LIGHT, 5.2 * len(parts) + 1.6, 0.9 + 0.3 * len(methods))
    for place, part in enumerate(parts, start=1):
        axes = figure.add_subplot(1, len(parts), place)
        style_axes(axes, LIGHT, title=f"{100 * part:.0f} % labels")
        for y, name in enumerate(methods):
            values = over.get((name, part), [])
            axes.barh(y, np.mean(values) if values else 0, 0.7, color=LIGHT.series[0 if name.startswith("committee") else 4])
            axes.plot(values, [y] * len(values), "o", color=LIGHT.ink, markersize=2.5)
        axes.axvline(0, color=LIGHT.ink, linewidth=1)
        axes.set_yticks(range(len(methods)), [METHODS[name].label for name in methods] if place == 1 else [], fontsize=8.5)
        axes.set_ylim(len(methods) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=LIGHT.grid, linewidth=0.8)
        axes.set_xlabel("points of mAP over the fine-tuned best source", color=LIGHT.muted, fontsize=9)
    return to_png(figure)


PAGE = """# What a committee of peers is worth

Written by `python benchmarks/committee.py` (torch {torch}, {machine}); don't edit.

A target's sources are the three largest other domains of the data set, each trained at home on all its labels. Every row
of a table has the same network, loss (softmax + batch-hard triplet), data and number of the target's steps, and is the last
state of its training; the best source is chosen on the target's labelled images. Cells: mAP / Rank-1 in percent by the
standard protocol, ± the standard deviation over the seeds where there are several. Rows with * need the sources' networks
at test time; what each method is, and from whom: [studies.md](studies.md).

{sections}"""
SECTION = """## {title}

Seeds {seeds}; {minutes:.0f} minutes of training on one thread.

{table}

Points of mAP, paired by target and seed, mean ± standard error over all targets and seeds:

{gains}

What a committee's parts add, paired in the same way (number of pairs):

{steps}

![Gain of each method over the fine-tuned best source](images/committee-{name}.png)
"""


def write(state: Path, page: Path) -> None:
    """Write the page, and a plot a data set beside it."""
    sections, drawn = [], Counter[str]()
    rows = rows_of(state)
    (page.parent / "images").mkdir(exist_ok=True)
    for title in dict.fromkeys(row.section for row in rows):
        mine, data = [row for row in rows if row.section == title], title.split(":")[0]
        drawn[data] += 1
        name = data if drawn[data] == 1 else f"{data}-{drawn[data]}"
        (page.parent / "images" / f"committee-{name}.png").write_bytes(plot(mine))
        seeds = ", ".join(map(str, sorted({row.seed for row in mine})))
        facts = {"seeds": seeds, "minutes": sum(row.minutes for row in mine)}
        tables = {"table": table(mine), "gains": gain_table(mine), "steps": step_table(mine)}
        sections.append(SECTION.format(title=title, name=name, **facts, **tables))
    page.write_text(PAGE.format(torch=torch.__version__, machine=platform.machine(), sections="\n".join(sections)), "utf-8")


def studies(options: argparse.Namespace) -> Iterator[Study]:
    """A study a target: all methods, for every part of labels."""
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
    return Grid("", "", {(m, f"{part}"): Point(replace(base, method=m, labelled=part)) for m, part in cells})


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
    parser.add_argument("--state", type=Path, default=Path("build/committee"), help="folder of what is done already")
    parser.add_argument("--page", type=Path, default=DOCS / "committee-results.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    store = Store(options.state / (Path(options.data_root).name if options.data_root else EMBEDDED))
    for seed, study in product(map(int, options.seeds.split(",")), list(studies(options))):
        StudyRunner(task_of, store).measure(study, [seed], Console())
        write(options.state, options.page)


if __name__ == "__main__":
    main()
