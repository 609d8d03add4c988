"""The tables about accuracy and bytes: every strategy beside plain Flower; what bits, budget and feedback do."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inprocess import run

NODES = {"Bulyan": 7, "Krum": 4}
VARIANTS: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "bits = 3": {"bits": 3},
    "bits = 4": {"bits": 4},
    "budget = 20,000 bytes": {"budget": 20_000},
    "relative-error = 0.5": {"relative_error": 0.5},
    "relative-error = 0.5, feedback up": {"relative_error": 0.5, "feedback_up": True},
    "relative-error = 0.5, feedback up and down": {"relative_error": 0.5, "feedback_up": True, "feedback_down": True},
}
Results = dict[str, list[dict[str, Any]]]


def measure_strategies(names: tuple[str, ...], seeds: Sequence[int], folder: Path) -> Results:
    """Run every strategy, plain and over DoM, on the same seeds."""
    found: Results = {f"{name}/{codec}": [] for name in names for codec in ("none", "dom")}
    for seed in seeds:
        for key, some in found.items():
            name, codec = key.split("/")
            some.append(_kept(folder, NODES.get(name, 4), strategy=name, codec=codec, seed=seed))
    return found


def measure_variants(seeds: Sequence[int], folder: Path) -> Results:
    """Run FedAvg over DoM in several configurations."""
    return {
        name: [_kept(folder, 4, strategy="FedAvg", codec="dom", seed=seed, **options) for seed in seeds]
        for name, options in VARIANTS.items()
    }


def seeds_of(found: Results) -> str:
    """Name the seeds."""
    return ", ".join(str(one["seed"]) for one in next(iter(found.values())))


def _kept(folder: Path, nodes: int, **config: Any) -> dict[str, Any]:
    """Run, or read what the run came to before."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ("-".join(f"{key}={value}" for key, value in sorted(config.items())) + ".json")
    if not file.exists():
        summary = {key: value for key, value in run(nodes, **config).items() if key != "rounds"}
        file.write_text(json.dumps(summary))
        print(file.stem, round(summary["accuracy"], 1), flush=True)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def strategies_table(found: Results) -> list[str]:
    """Write the first table."""
    lines = [
        "| strategy | nodes | plain Flower, % | over DoM, % | difference | down | up | in all |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(key.split("/")[0] for key in found):
        plain, dom = found[f"{name}/none"], found[f"{name}/dom"]
        means = [statistics.mean(one["accuracy"] for one in some) for some in (plain, dom)]
        factors = [f"{_factor(dom, plain, ways):.1f} x" for ways in (("down",), ("up",), ("down", "up"))]
        lines.append(
            f"| {name} | {NODES.get(name, 4)} | {means[0]:.1f} | {means[1]:.1f} | {means[1] - means[0]:+.1f} "
            f"| {' | '.join(factors)} |"
        )
    return lines


def variants_table(found: Results) -> list[str]:
    """Write the second table."""
    lines = ["| FedAvg, 4 nodes | accuracy, % | down | up | in all |", "|---|---|---|---|---|"]
    for name, some in found.items():
        accuracy = statistics.mean(one["accuracy"] for one in some)
        factors = [f"{_factor(some, some, ways):.1f} x" for ways in (("down",), ("up",), ("down", "up"))]
        lines.append(f"| {name} | {accuracy:.1f} | {' | '.join(factors)} |")
    return lines


def _factor(sent: list[dict[str, Any]], plain: list[dict[str, Any]], ways: tuple[str, ...]) -> float:
    """Divide what plain Flower sends by what was sent."""
    raw = sum(
        one[f"wire_bytes_{way}"] if one["codec"] == "none" else one[f"raw_bytes_{way}"] for one in plain for way in ways
    )
    return raw / sum(one[f"wire_bytes_{way}"] for one in sent for way in ways)
