"""The memory of a round with many large replies: plain Flower and DoM, one after the other, each under a limit."""

from pathlib import Path
from typing import Any

from flower import sized_run
from matplotlib.figure import Figure


def measure(clients: int, megabytes: float, limit_gb: float) -> dict[str, Any]:
    """Run one round of each; whoever takes more than the limit is ended."""
    runs = []
    for codec in ("dom", "plain"):
        runs.append(sized_run(codec, nodes=clients, megabytes=megabytes, rounds=1, limit_gb=limit_gb))
        one = runs[-1]
        print({key: value for key, value in one.items() if key != "samples"}, peak(one), flush=True)
    return {"clients": clients, "megabytes": megabytes, "limit_gb": limit_gb, "runs": runs}


def peak(run: dict[str, Any]) -> float:
    """Give the most that a run took, in GB."""
    return max((size for _, size in run["samples"]), default=0) / 1e9


def row(found: dict[str, Any]) -> str:
    """Write a row of the table."""
    cells = []
    for codec in ("plain", "dom"):
        run = next(one for one in found["runs"] if one["codec"] == codec)
        end = f"{run['seconds'][0]:.0f} s" if run["finished"] else "**ended at the limit**" if run["killed"] else "**died**"
        cells.append(f"{peak(run):.1f} GB, {end}")
    return f"| {found['clients']} x {found['megabytes']:g} MB | {found['limit_gb']:g} GB | {' | '.join(cells)} |"


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw memory over time."""
    figure = Figure((7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for run, name, colour in zip(found["runs"], ("DoM", "plain Flower"), ("#0b6e8f", "#b3541e"), strict=True):
        times, sizes = zip(*run["samples"], strict=True)
        label = name if run["finished"] else f"{name}, ended at the limit" if run["killed"] else f"{name}, died"
        axes.plot(times, [size / 1e9 for size in sizes], color=colour, label=label, linewidth=1.8)
    axes.axhline(found["limit_gb"], color="#888888", linestyle=":", linewidth=1)
    axes.set_xlabel("seconds")
    axes.set_ylabel("memory of all processes, GB")
    axes.set_title(f"{found['clients']} clients x {found['megabytes']:g} MB, one round", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
