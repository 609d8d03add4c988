"""Run the main job over seeds, with and without DoM, and write docs/results/main-job.md.

    python benchmarks/main_job.py OUT [--seeds 0,1,2]

OUT has one folder per run, so an interrupted benchmark continues with the missing runs. Runs use four supernodes of one CPU.
"""

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

from fedretina.study import mean_text

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "main-job.md"
FEDERATION = "num-supernodes=4 client-resources-num-cpus=1"
ROWS = {
    "alone": "the target alone",
    "finetune": "the best source, fine-tuned",
    "reuse": "**PeerReuse**",
    "full": "the target with all labels",
}
FROZEN = "body-rounds=0 co-training='off'"  # sources are not trained on with the target
Summary = dict[str, Any]


def summary(out: Path, seed: int, codec: str) -> Summary:
    """Read the summary of a run with frozen sources; if there is none, run it first."""
    return finished(out.absolute() / f"{codec}-{seed}", f"seed={seed} codec='{codec}' {FROZEN}", baselines=codec == "dom")


def finished(folder: Path, config: str, *, baselines: bool) -> Summary:
    """Read a run's summary, with the target's results at the top; if there is none, run it first."""
    if not (folder / "summary.json").exists():
        config = f"{config} out='{folder}'" + ("" if baselines else " baselines=false")
        command = ["flwr", "run", str(ROOT / "simulations" / "duke_target"), "--stream", "-c", config]
        subprocess.run([*command, "--federation-config", FEDERATION], check=True)
    found: Summary = json.loads((folder / "summary.json").read_text())
    if found["status"] != "completed":
        raise SystemExit(f"{folder}: {found.get('error')}; remove the folder to run it again")
    return found | found["targets"]["duke"]["results"]


def cell(values: list[float]) -> str:
    """Write a mean with its standard error."""
    return mean_text(values, error=True)


def page(dom: list[Summary], none: list[Summary]) -> str:
    """Write the page."""
    seeds = ", ".join(str(s["seed"]) for s in dom)
    gains = [s["reuse"]["mAP"] - s["alone"]["mAP"] for s in dom]
    paired = [a["reuse"]["mAP"] - b["reuse"]["mAP"] for a, b in zip(dom, none, strict=True)]
    raw = sum(s["raw_bytes_down"] + s["raw_bytes_up"] for s in dom)
    wire = sum(s["wire_bytes_down"] + s["wire_bytes_up"] for s in dom)
    lines = [
        "# The main job, measured",
        "",
        f"`python benchmarks/main_job.py OUT` wrote this page: `flwr run simulations/duke_target` with `{FROZEN}`,",
        f"seeds {seeds}, with four supernodes of one CPU, on {platform.machine()} with {os.cpu_count()} cores.",
        "Mean ± standard error over the seeds; mAP and Rank-1 in percent.",
        "",
        "| | mAP | Rank-1 | mAP by seed |",
        "|---|---|---|---|",
    ]
    for key, name in ROWS.items():
        each = ", ".join(f"{s[key]['mAP']:.1f}" for s in dom)
        lines.append(f"| {name} | {cell([s[key]['mAP'] for s in dom])} | {cell([s[key]['rank1'] for s in dom])} | {each} |")
    each = ", ".join(f"{s['reuse']['mAP']:.1f}" for s in none)
    lines.append(
        f"| PeerReuse without DoM | {cell([s['reuse']['mAP'] for s in none])} "
        f"| {cell([s['reuse']['rank1'] for s in none])} | {each} |"
    )
    lines += [
        "",
        f"- PeerReuse over the target alone: {cell(gains)} points of mAP.",
        f"- With DoM instead of raw models: {cell(paired)} points of mAP, paired by seed.",
        f"- Bytes on the wire, first sendings included: {wire:,} instead of {raw:,}, {raw / wire:.1f} times fewer.",
        "",
        "The model of a round is the round's last; none is chosen by its test result, nor are the baselines'.",
        "",
    ]
    return "\n".join(lines)


def main(out: Path, seeds: Annotated[str, typer.Option(help="comma-separated")] = "0,1,2") -> None:
    """Run and write."""
    numbers = [int(s) for s in seeds.split(",")]
    dom, none = ([summary(out, seed, codec) for seed in numbers] for codec in ("dom", "none"))
    PAGE.write_text(page(dom, none), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    typer.run(main)
