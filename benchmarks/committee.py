"""Measure what a committee of peers is worth beside fine-tuning, and write docs/committee-results.md.

    python benchmarks/committee.py --data-root /data/reid --targets duke,market1501 --labelled 0.3,0.1 --seeds 0

The data root holds a folder a domain, in Market-1501's layout; a target's sources are the three largest others. Every
cell has the same loss, data and number of steps, and is the last state of its training. Interrupted, it goes on where it
was.
"""

import argparse
import json
import platform
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fedretina import home
from fedretina.reid import ReIdTask
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
}
Row = dict[str, Any]


class Bench:
    """The cells of the table, and where they are kept."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.kept = Path(options.state)
        self.kept.mkdir(parents=True, exist_ok=True)
        self.names = sorted(path.name for path in Path(options.data_root).iterdir() if path.is_dir())

    def task(self, target: str, labelled: float, seed: int) -> ReIdTask:
        height, width = (int(side) for side in self.options.size.split("x"))
        return ReIdTask(
            root=Path(self.options.data_root), target=target, labelled=labelled, models={"": self.options.model},
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
    if method == "eq1":
        with seeded(plan, "V"):
            example, layers = task.prepare(splits.inputs[:2]), tuple(task.layers)
            objective = ReuseObjective.probe(student.model, peers.models, layers, example, gamma=plan.gamma)
        return {"reuse": Reuse(peers.models, objective, peers.risks)}
    names = {"none": [], "one": [best], "three": list(peers.models)}[method]
    alpha = theorem_alpha({name: peers.risks[name] for name in names}) if names else {}
    voters = {name: peers.models[name] for name in names}
    return {"teaching": Teaching(task, splits, voters, alpha=alpha, plan=plan)}


def train(learner: Learner, plan: Plan, samples: int) -> None:
    learner.train(Span(0, plan.local_epochs, plan.local_epochs), samples, lambda *_: None)


def table(rows: list[Row]) -> str:
    """Mean over the seeds, mAP / Rank-1, and the spread of mAP."""
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
    precision = [row["mAP"] for row in rows]
    spread = f" ± {np.std(precision):.1f}" if len(rows) > 1 else ""
    right = [row["taught.accuracy"] for row in rows if "taught.accuracy" in row]
    votes = f" ({np.mean(right):.0f} % right)" if right else ""
    return f"{np.mean(precision):.1f}{spread} / {np.mean([row['rank1'] for row in rows]):.1f}{votes}"


PAGE = """# What a committee of peers is worth

Written by `python benchmarks/committee.py --targets {targets} --labelled {labelled} --seeds {seeds} --epochs {epochs} \
--size {size}`; don't edit.
({minutes:.0f} minutes of training on one thread, torch {torch}, {machine})

Data: {data}. A target's sources are the three largest other domains there, each trained at home on all its labels. Every
row has the same network (`{model}`), loss (softmax + batch-hard triplet), data and steps, and is the last state of its
training; the best peer is chosen on the target's labelled images. Cells: mAP{spread} / Rank-1 in percent by the standard
protocol; in brackets the accuracy of the committee's last votes on labelled images held out, which are few:
it flatters the votes on the unlabelled ones. {count} seed(s) a cell: with one, a difference of a point or two is noise.

{table}
"""


def page(bench: Bench, rows: list[Row]) -> str:
    options = vars(bench.options) | {"data": Path(bench.options.data_root).name}
    spread = " (mean ± standard deviation over the seeds)" if "," in options["seeds"] else ""
    minutes = sum(row["minutes"] for row in rows)
    facts = {"torch": torch.__version__, "machine": platform.machine(), "minutes": minutes, "spread": spread}
    facts["count"] = len(options["seeds"].split(","))
    return PAGE.format(table=table(rows), **options, **facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", required=True)
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
    rows = []
    for seed in map(int, options.seeds.split(",")):
        for labelled in map(float, options.labelled.split(",")):
            for target in options.targets.split(","):
                for method in options.methods.split(","):
                    rows.append(bench.cell(target, labelled, seed, method))
                    options.out.write_text(page(bench, rows))


if __name__ == "__main__":
    main()
