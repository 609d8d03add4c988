"""Tables of accuracy and bytes: every strategy over DoM and under plain Flower, and the effect of the options."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from any_strategy.inprocess import module, run
from fedretina.study import Results, mean_text
from fedretina.study import table as table_of

NODES = {"Bulyan": 7}  # it needs 4 f + 3 nodes
VARIANTS: dict[str, dict[str, Any]] = {
    "plain Flower": {"codec": "none"},
    "the defaults": {},
    "bits = 3": {"bits": 3},
    "bits = 4": {"bits": 4},
    "budget = 20,000 bytes": {"budget": 20_000},
    "relative-error = 0.5": {"relative_error": 0.5},
    "relative-error = 0.5, feedback up": {"relative_error": 0.5, "feedback_up": True},
    "relative-error = 0.5, feedback up and down": {"relative_error": 0.5, "feedback_up": True, "feedback_down": True},
}
FACTORS = {"down": ("down",), "up": ("up",), "in all": ("down", "up")}
Found = dict[str, Any]
Runs = Sequence[Found]


def measure_strategies(seeds: Sequence[int], folder: Path) -> Found:
    """Run every strategy, plain and over DoM, on the same seeds."""
    names = module("choices").STRATEGIES
    found: Found = {f"{name}/{codec}": [] for name in names for codec in ("none", "dom")}
    for seed in seeds:
        for key, some in found.items():
            name, codec = key.split("/")
            some.append(_stored_run(folder, NODES.get(name, 4), strategy=name, codec=codec, seed=seed))
    return found


def measure_variants(seeds: Sequence[int], folder: Path) -> Found:
    """Run FedAvg plain, and over DoM in several configurations."""
    return {
        name: [_stored_run(folder, 4, strategy="FedAvg", seed=seed, **{"codec": "dom"} | options) for seed in seeds]
        for name, options in VARIANTS.items()
    }


def seeds_of(found: Found) -> str:
    """Name the seeds."""
    return ", ".join(str(one["seed"]) for one in next(iter(found.values())))


def _stored_run(folder: Path, nodes: int, **config: Any) -> Found:
    """Run the app, or read the stored summary of that run."""
    name = "-".join(f"{key}={value}" for key, value in sorted(config.items()))

    def summary() -> Found:
        found = {key: value for key, value in run(nodes, **config).items() if key != "rounds"}
        print(name, round(found["accuracy"], 1), flush=True)
        return found

    found: Found = Results(folder).measured(name, summary)
    return found


def strategies_table(found: Found) -> str:
    """Write the first table."""
    rows = []
    for name in dict.fromkeys(key.split("/")[0] for key in found):
        plain, dom = found[f"{name}/none"], found[f"{name}/dom"]
        differences = _differences(plain, dom)
        cells = [
            mean_text(_accuracies(plain)),
            mean_text(_accuracies(dom)),
            mean_text(differences, "+.1f"),
            f"{min(differences):+.1f}",
        ]
        rows.append([name, str(NODES.get(name, 4)), *cells, *_factors(dom, plain)])
    head = ["strategy", "nodes", "plain Flower, %", "over DoM, %", "difference", "least", *FACTORS]
    return table_of(head, rows)


def all_pairs(found: Found) -> str:
    """Write the mean difference over all strategies and seeds."""
    names = dict.fromkeys(key.split("/")[0] for key in found)
    differences = [points for name in names for points in _differences(found[f"{name}/none"], found[f"{name}/dom"])]
    less, more = sum(points < -1 for points in differences), sum(points > 1 for points in differences)
    mean = mean_text(differences, "+.2f", deviation_form=".1f")
    return (
        f"All {len(differences)} pairs of runs together: {mean} points; over DoM {less} end more than a point "
        f"lower, {more} more than a point higher."
    )


def variants_table(found: Found) -> str:
    """Write the second table."""
    rows = [[name, mean_text(_accuracies(some)), *_factors(some, some)] for name, some in found.items()]
    return table_of(["FedAvg, 4 nodes", "accuracy, %", *FACTORS], rows)


def _differences(plain: Runs, dom: Runs) -> list[float]:
    return [b - a for a, b in zip(_accuracies(plain), _accuracies(dom), strict=True)]


def _accuracies(runs: Runs) -> list[float]:
    return [one["accuracy"] for one in runs]


def _factors(sent: Runs, plain: Runs) -> list[str]:
    """Divide what plain Flower sends by what was sent, by direction."""
    return [
        f"{_bytes(plain, directions, raw=True) / _bytes(sent, directions, raw=False):.1f} x"
        for directions in FACTORS.values()
    ]


def _bytes(runs: Runs, directions: Sequence[str], *, raw: bool) -> int:
    return sum(one[f"{'raw' if raw else 'wire'}_bytes_{direction}"] for one in runs for direction in directions)
