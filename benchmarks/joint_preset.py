"""Run duke_target with bodies that are coded by presets, and write docs/results/joint-preset.md.

    python benchmarks/joint_preset.py OUT [--seeds 0,1,2]

OUT has one folder per run, so an interrupted benchmark continues with the missing runs.
"""

import os
import platform
from pathlib import Path
from typing import Annotated

import typer
from main_job import ROOT, Summary, finished

from fedretina import ledger
from fedretina.study import mean_text

PAGE = ROOT / "docs" / "results" / "joint-preset.md"
HARDER = "image-height=48 image-width=24 rounds=4 alone-last=4"  # the same photos, with fewer pixels and epochs
PRESETS = ("", "balanced", "coarse", "fine")
Runs = dict[str, list[Summary]]


def page(runs: Runs, sizes: dict[str, list[float]]) -> str:
    """Write the page."""
    default = runs[""]
    rows = []
    for preset, found in runs.items():
        gains = [run["reuse"]["mAP"] - known["reuse"]["mAP"] for run, known in zip(found, default, strict=True)]
        scores = [run["reuse"]["mAP"] for run in found]
        whole = [(run["wire_bytes_down"] + run["wire_bytes_up"]) / 1e6 for run in found]
        cells = [
            f"`joint-preset='{preset}'`" if preset else "as models (the default)",
            mean_text(scores, error=True),
            mean_text(gains, error=True) if preset else "",
            ", ".join(f"{score:.1f}" for score in scores),
            f"{sum(sizes[preset]) / len(found):.2f} MB",
            f"{sum(whole) / len(found):.2f} MB",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            "# Bodies by presets",
            "",
            "After this page you can choose how the bodies of joint training are coded.",
            "",
            "`python benchmarks/joint_preset.py OUT` wrote this page: `flwr run simulations/duke_target` with",
            f"`{HARDER}`, so that mAP is further from its limit;",
            f"seeds {', '.join(str(run['seed']) for run in default)}, with four supernodes of one CPU, on",
            f"{platform.machine()} with {os.cpu_count()} cores.",
            "",
            "`joint-preset` codes the bodies of body rounds and co-training by a preset of `fedretina.dom.PRESETS`, with",
            "error feedback: a domain adds what its last body lost to its next one. Models and first versions stay as they",
            "are. Mean ± standard error; differences are paired by seed. Bytes are those of both directions.",
            "",
            "| bodies | mAP | over the default | mAP by seed | bodies take | a run sends |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def body_megabytes(folder: Path) -> float:
    """Add what a run's bodies took on the wire."""
    rows = ledger.read(folder / "ledger.jsonl")
    return sum(row.wire_bytes for row in rows if row.stream.startswith("joint/")) / 1e6


def main(out: Path, seeds: Annotated[str, typer.Option(help="comma-separated")] = "0,1,2") -> None:
    """Run and write."""
    numbers = [int(seed) for seed in seeds.split(",")]
    runs: Runs = {preset: [] for preset in PRESETS}
    sizes: dict[str, list[float]] = {preset: [] for preset in PRESETS}
    for seed in numbers:
        for preset in PRESETS:
            folder = out.absolute() / f"{preset or 'default'}-{seed}"
            config = f"seed={seed} {HARDER} joint-preset='{preset}'"
            runs[preset].append(finished(folder, config, baselines=False))
            sizes[preset].append(body_megabytes(folder))
    PAGE.write_text(page(runs, sizes), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    typer.run(main)
