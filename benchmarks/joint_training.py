"""Run duke_target with joint training and with frozen sources, and write docs/results/joint-training.md.

    python benchmarks/joint_training.py OUT [--seeds 0,1,2]

OUT has one folder per run, so an interrupted benchmark continues with the missing runs.
"""

import os
import platform
from pathlib import Path
from typing import Annotated

import typer
from main_job import FROZEN, ROOT, Summary, finished

from fedretina.study import mean_text

PAGE = ROOT / "docs" / "results" / "joint-training.md"
WAYS = {"joint": "", "frozen": FROZEN}
NAMES = {"joint": "joint training (the default)", "frozen": "frozen sources"}


def page(runs: dict[str, list[Summary]]) -> str:
    """Write the page."""
    seeds = ", ".join(str(run["seed"]) for run in runs["joint"])
    scores = {way: [run["reuse"]["mAP"] for run in found] for way, found in runs.items()}
    paired = [joint - frozen for joint, frozen in zip(scores["joint"], scores["frozen"], strict=True)]
    rows = [
        f"| {NAMES[way]} | {mean_text(scores[way], error=True)} | {', '.join(f'{score:.1f}' for score in scores[way])} "
        f"| {sum(map(wire_bytes, found)) / len(found) / 1e6:.1f} MB |"
        for way, found in runs.items()
    ]
    return "\n".join(
        [
            "# Joint training, measured",
            "",
            "After this page you know what joint training brings on rendered pedestrians, and what it costs.",
            "",
            "`python benchmarks/joint_training.py OUT` wrote this page: `flwr run simulations/duke_target` with its",
            f"defaults, and with `{FROZEN}`; seeds {seeds}, on {platform.machine()} with {os.cpu_count()} cores.",
            "Mean ± standard error over the seeds; mAP in percent after the last round; bytes of both directions.",
            "",
            "| | mAP | by seed | a run sends |",
            "|---|---|---|---|",
            *rows,
            "",
            f"- Joint training over frozen sources: {mean_text(paired, error=True)} points of mAP, paired by seed.",
            "",
            "One target, one share of labels (30 %), one data set. Other data can differ:",
            "[Joint training](../guides/joint-training.md) says where it loses.",
            "",
        ]
    )


def wire_bytes(run: Summary) -> int:
    """Return what a run sent, in both directions."""
    return int(run["wire_bytes_down"] + run["wire_bytes_up"])


def main(out: Path, seeds: Annotated[str, typer.Option(help="comma-separated")] = "0,1,2") -> None:
    """Run and write."""
    numbers = [int(seed) for seed in seeds.split(",")]
    runs = {
        way: [finished(out.absolute() / f"{way}-{seed}", f"seed={seed} {config}", baselines=False) for seed in numbers]
        for way, config in WAYS.items()
    }
    PAGE.write_text(page(runs), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    typer.run(main)
