"""Measure what a committee of peers is worth beside fine-tuning, and write docs/committee-results.md.

    python benchmarks/committee.py --targets duke --seeds 0,1,2
    python benchmarks/committee.py --data-root /data/reid --targets duke,market1501

Without a data root the embedded pedestrians are rendered; it holds a folder a domain, in any layout that is read. A target's
sources are the three largest others. Every cell has the same loss, data and number of steps, and is the last state of its
training. Interrupted, it goes on where it was; the page shows every data set of which something is kept in the state.
"""

import argparse
import json
import platform
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fedretina import home
from fedretina.reid import ReIdTask, render
from fedretina.reuse import ReuseObjective, theorem_alpha
from fedretina.strategies import Plan
from fedretina.strategies.peer_reuse.learner import Learner, Reuse, Span, seeded, seeded_model
from fedretina.strategies.peer_reuse.peers import Peers, arrays_of, meet, start_from
from fedretina.strategies.peer_reuse.teaching import Teaching
from fedretina.task import Splits

METHODS = {
    "alone": "target alone",
    "finetune": "best peer, fine-tuned",
    "eq1": "best peer, Eq. 1",
    "none": "committee: own",
    "one": "committee: best peer, own",
    "three": "committee: three peers, own",
    "both": "the same, and Eq. 1",
}
EMBEDDED = ("duke", "msmt17", "cuhk03", "market1501")
ABOUT = "about.json"
Row = dict[str, Any]


class Bench:
    """The cells of one data set, and where they are kept."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.root = Path(options.data_root) if options.data_root else render(home.renderings(), EMBEDDED)
        found = sorted(path.name for path in self.root.iterdir() if path.is_dir())
        self.names = found if options.data_root else list(EMBEDDED)
        self.kept = Path(options.state) / (self.root.name if options.data_root else "embedded")
        self.kept.mkdir(parents=True, exist_ok=True)
        self._remember()

    def _remember(self) -> None:
        """Keep what all cells have in common; cells of other epochs or sizes must not stand beside these."""
        about = {key: getattr(self.options, key) for key in ("epochs", "size", "model")}
        file = self.kept / ABOUT
        if file.exists() and (before := json.loads(file.read_text())) != about:
            raise SystemExit(f"{self.kept} was measured with {before}: give the same, or another --state")
        file.write_text(json.dumps(about))

    def task(self, target: str, labelled: float, seed: int) -> ReIdTask:
        height, width = (int(side) for side in self.options.size.split("x"))
        return ReIdTask(
            root=self.root, target=target, labelled=labelled, models={"": self.options.model},
            height=height, width=width, loss_name="softmax+triplet", decoded=home.decoded(), embedded=True, seed=seed,
        )  # fmt: skip

    def sources(self, target: str) -> tuple[str, ...]:
        """The three largest other domains."""
        task = self.task(target, 1.0, 0)
        size = {name: len(task.splits(name).labels) for name in self.names if name != target}
        return tuple(sorted(sorted(size, key=lambda name: -size[name])[:3]))

    def source(self, name: str, plan: Plan) -> dict[str, np.ndarray]:
        """A domain's own model, on all its labels; trained once a seed."""
        file = self.kept / f"{name}-{plan.seed}.npz"
        if not file.exists():
            task = self.task("", 1.0, plan.seed)
            splits = task.splits(name)
            model = seeded_model(task, name, splits.classes, plan, "source")
            train(Learner(model, task, splits, plan, name=f"{name}/source"), plan, len(splits.labels))
            part = file.with_suffix(".part.npz")
            np.savez(part, **arrays_of(model.cpu()))
            part.replace(file)
        return dict(np.load(file))

    def cell(self, target: str, labelled: float, seed: int, method: str) -> Row:
        file = self.kept / f"{target}-{labelled}-{seed}-{method}.json"
        if file.exists():
            return json.loads(file.read_text())
        start = time.monotonic()
        plan = Plan(target=target, sources=self.sources(target), rounds=1, local_epochs=self.options.epochs, seed=seed)
        numbers = self.measure(self.task(target, labelled, seed), plan, method)
        row = {"target": target, "labelled": labelled, "seed": seed, "method": method, **numbers}
        row["minutes"] = (time.monotonic() - start) / 60
        file.write_text(json.dumps(row))
        print({key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()}, flush=True)
        return row

    def measure(self, task: ReIdTask, plan: Plan, method: str) -> dict[str, float]:
        splits = task.splits(plan.target)
        model = seeded_model(task, plan.target, splits.classes, plan, "target")
        parts: dict[str, Any] = {}
        if method != "alone":
            peers = meet({name: self.source(name, plan) for name in plan.sources}, task, splits, plan)
            best = peers.best(model, task.head)
            start_from(model, peers.models[best], task.head)
            parts = with_peers(method, Student(task, splits, plan, model), peers, best)
        learner = Learner(model, task, splits, plan, name=f"{plan.target}/{method}", **parts)
        train(learner, plan, len(splits.everything()))
        return {**task.evaluate(model.cpu().eval(), plan.target), **{f"taught.{k}": v for k, v in learner.taught.items()}}


@dataclass(frozen=True)
class Student:
    """What is to be trained, and on what."""

    task: ReIdTask
    splits: Splits
    plan: Plan
    model: nn.Module


def with_peers(method: str, student: Student, peers: Peers, best: str) -> dict[str, Any]:
    """What a method gives the learner."""
    task, splits, plan = student.task, student.splits, student.plan
    if method == "finetune":
        return {}
    parts: dict[str, Any] = {"reuse": equation(student, peers)} if method in ("eq1", "both") else {}
    if method != "eq1":
        names = {"none": [], "one": [best]}.get(method, list(peers.models))
        alpha = theorem_alpha({name: peers.risks[name] for name in names}) if names else {}
        voters = {name: peers.models[name] for name in names}
        parts["teaching"] = Teaching(task, splits, voters, alpha=alpha, plan=plan)
    return parts


def equation(student: Student, peers: Peers) -> Reuse:
    """Eq. 1's second term, V warm."""
    task, splits, plan = student.task, student.splits, student.plan
    with seeded(plan, "V"):
        example, layers = task.prepare(splits.inputs[:2]), tuple(task.layers)
        objective = ReuseObjective.probe(student.model, peers.models, layers, example, gamma=plan.gamma)
    reuse = Reuse(peers.models, objective, peers.risks, plan=plan)
    reuse.warm(student.model, task.prepare(splits.everything()))
    return reuse


def train(learner: Learner, plan: Plan, samples: int) -> None:
    learner.train(Span(0, plan.local_epochs, plan.local_epochs), samples, lambda *_: None)


def rows_of(folder: Path) -> list[Row]:
    """What is kept of a data set, the most labels first."""
    rows = [json.loads(file.read_text()) for file in folder.glob("*.json") if file.name != ABOUT]
    return sorted(rows, key=lambda row: (-row["labelled"], row["target"], row["seed"], list(METHODS).index(row["method"])))


def table(rows: list[Row]) -> str:
    """A column a target and part of labels, and one for the mean over the targets."""
    cells = defaultdict(list)
    for row in rows:
        cells[row["target"], row["labelled"], row["method"]].append(row)
    columns = list(dict.fromkeys((row["target"], row["labelled"]) for row in rows))
    lines = ["| | " + " | ".join(f"{target}, {100 * part:.0f} %" for target, part in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for method, name in METHODS.items():
        if any((*column, method) in cells for column in columns):
            lines.append(f"| {name} | " + " | ".join(shown(cells[(*column, method)]) for column in columns) + " |")
    return "\n".join(lines)


def shown(rows: list[Row]) -> str:
    if not rows:
        return ""
    return f"{spread([row['mAP'] for row in rows])} / {np.mean([row['rank1'] for row in rows]):.1f}"


def spread(values: list[float]) -> str:
    """Write a mean, and the standard deviation where there are several."""
    return f"{np.mean(values):.1f}" + (f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else "")


def gains(rows: list[Row]) -> Iterator[str]:
    """What each method brings over fine-tuning, paired by target and seed, over all of them."""
    found = {(row["labelled"], row["method"], row["target"], row["seed"]): row["mAP"] for row in rows}
    for labelled in dict.fromkeys(row["labelled"] for row in rows):
        for method, name in METHODS.items():
            pairs = [(key, value) for key, value in found.items() if key[:2] == (labelled, method)]
            over = [
                value - found[labelled, "finetune", *key[2:]]
                for key, value in pairs
                if (labelled, "finetune", *key[2:]) in found
            ]
            if over and method not in ("alone", "finetune"):
                error = f" ± {np.std(over, ddof=1) / len(over) ** 0.5:.1f}" if len(over) > 1 else ""
                yield f"- {100 * labelled:.0f} % labels, {name}: {np.mean(over):+.1f}{error} ({len(over)} cells)"


def section(folder: Path) -> str:
    about, rows = json.loads((folder / ABOUT).read_text()), rows_of(folder)
    minutes = sum(row["minutes"] for row in rows)
    return SECTION.format(name=folder.name, table=table(rows), gains="\n".join(gains(rows)), minutes=minutes, **about)


SECTION = """## {name}

{size} pixels, network `{model}`, {epochs} epochs; {minutes:.0f} minutes of training on one thread.

{table}

Points of mAP over the fine-tuned best peer, paired by target and seed, mean ± standard error:

{gains}
"""

PAGE = """# What a committee of peers is worth

Written by `python benchmarks/committee.py` (torch {torch}, {machine}); don't edit.

A target's sources are the three largest other domains of the data set, each trained at home on all its labels. Every row of
a table has the same network, loss (softmax + batch-hard triplet), data and steps, and is the last state of its training; the
best peer is chosen on the target's labelled images. Cells: mAP / Rank-1 in percent by the standard protocol, ± the standard
deviation over the seeds where there are several: with one, a difference of a point or two is noise.

{sections}"""


def page(state: Path) -> str:
    folders = sorted(file.parent for file in state.glob(f"*/{ABOUT}"))
    sections = "\n".join(section(folder) for folder in folders if rows_of(folder))
    return PAGE.format(torch=torch.__version__, machine=platform.machine(), sections=sections)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", default="", help="default: the embedded pedestrians")
    parser.add_argument("--targets", required=True, help="comma-separated")
    parser.add_argument("--labelled", default="0.3,0.1")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--size", default="64x32", help="height x width")
    parser.add_argument("--model", default="small")
    parser.add_argument("--state", default="build/committee", help="folder of what is done already")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs" / "committee-results.md")
    bench = Bench(options := parser.parse_args())
    torch.set_num_threads(1)
    for seed in map(int, options.seeds.split(",")):
        for labelled in map(float, options.labelled.split(",")):
            for target in options.targets.split(","):
                for method in options.methods.split(","):
                    bench.cell(target, labelled, seed, method)
                    options.out.write_text(page(Path(options.state)))


if __name__ == "__main__":
    main()
