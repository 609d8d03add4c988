"""The memory of rounds with many large replies: plain Flower and DoM, one after the other, each under a limit."""

from pathlib import Path

from matplotlib.figure import Figure

from any_strategy.flower import sized_run
from any_strategy.tables import Found
from fedretina.study import Results
from fedretina.study import table as table_of

NAMES = {"dom": "DoM", "plain": "plain Flower"}
ROUNDS = 2  # in the second round Flower's loop still has the replies of the first


def measure(clients: int, megabytes: float, limit_gb: float, folder: Path) -> Found:
    """Run both; a run that exceeds the limit is ended."""
    runs = []
    for codec in NAMES:
        name = f"memory-{clients}-{megabytes:g}-{limit_gb:g}-{ROUNDS}-{codec}"
        runs.append(Results(folder).measured(name, lambda codec=codec: _run(codec, clients, megabytes, limit_gb)))
    return {"clients": clients, "megabytes": megabytes, "limit_gb": limit_gb, "runs": runs}


def _run(codec: str, clients: int, megabytes: float, limit_gb: float) -> Found:
    one = sized_run(codec, nodes=clients, megabytes=megabytes, rounds=ROUNDS, limit_gb=limit_gb)
    print({key: value for key, value in one.items() if key != "samples"}, peak(one), flush=True)
    return one


def peak(run: Found) -> float:
    """Give the peak memory of a run, in GB."""
    return max((size for _, size in run["samples"]), default=0) / 1e9


def table(found: list[Found]) -> str:
    """Write the table, a row for each size."""
    rows = []
    for one in found:
        runs = {run["codec"]: run for run in one["runs"]}
        cells = [f"{peak(runs[codec]):.1f} GB, {_end(runs[codec])}" for codec in ("plain", "dom")]
        rows.append([f"{one['clients']} x {one['megabytes']:g} MB", f"{one['limit_gb']:g} GB", *cells])
    return table_of(["", "limit", "plain Flower", "DoM"], rows)


def _end(run: Found) -> str:
    if run["finished"]:
        return f"{sum(run['seconds']):.0f} s"
    return "**ended at the limit**" if run["killed"] else "**died**"


def plot(found: Found, path: Path) -> None:
    """Plot memory over time."""
    figure = Figure((7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for run, colour in zip(found["runs"], ("#0b6e8f", "#b3541e"), strict=True):
        name = NAMES[run["codec"]]
        times, sizes = zip(*run["samples"], strict=True)
        label = name if run["finished"] else f"{name}, ended at the limit" if run["killed"] else f"{name}, died"
        axes.plot(times, [size / 1e9 for size in sizes], color=colour, label=label, linewidth=1.8)
    axes.axhline(found["limit_gb"], color="#888888", linestyle=":", linewidth=1)
    axes.set_xlabel("seconds")
    axes.set_ylabel("memory of all processes, GB")
    axes.set_title(f"{found['clients']} clients x {found['megabytes']:g} MB, {ROUNDS} rounds", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
