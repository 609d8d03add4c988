"""Time per message in Flower's simulation: plain Flower and DoM alternately, many nodes with a small model."""

import statistics
from pathlib import Path

from any_strategy.flower import sized_run
from any_strategy.tables import Found
from fedretina.study import Results
from fedretina.study import table as table_of

ROUNDS = 3
NAMES = {"plain": "plain Flower", "dom": 'DoM, `effort="fast"`'}


def measure(nodes: int, megabytes: float, repeats: int, folder: Path) -> Found:
    """Run both alternately. The first round is left out, because it starts the nodes."""
    runs = []
    for number in range(repeats):
        for codec in NAMES:
            name = f"cost-{nodes}-{megabytes:g}-{codec}-{number}"
            runs.append(Results(folder).measured(name, lambda codec=codec: _run(codec, nodes, megabytes)))
    return {"nodes": nodes, "megabytes": megabytes, "runs": runs}


def _run(codec: str, nodes: int, megabytes: float) -> Found:
    one = sized_run(codec, nodes=nodes, megabytes=megabytes, rounds=ROUNDS)
    if not one["finished"]:
        raise SystemExit(f"the run with codec={codec!r} did not finish")
    one["peak"] = max(size for _, size in one.pop("samples"))
    print(one, flush=True)
    return one


def text(found: Found) -> str:
    """Write the table, and the ratio of the times."""
    rows, means = [], {}
    for codec, name in NAMES.items():
        runs = [one for one in found["runs"] if one["codec"] == codec]
        rounds = [second for one in runs for second in one["seconds"][1:]]
        means[codec] = statistics.mean(rounds)
        seconds = ", ".join(f"{second:.1f}" for second in rounds)
        peak = max(one["peak"] for one in runs) / 1e9
        rows.append([name, f"{1000 * means[codec] / found['nodes']:.1f}", seconds, f"{peak:.2f}"])
    head = ["", "ms per message", "rounds after the first, s", "memory at most, GB"]
    return f"{table_of(head, rows)}\nDoM's time over plain Flower's: {means['dom'] / means['plain']:.2f}."
