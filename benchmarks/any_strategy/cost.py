"""What a message costs in Flower's simulation: plain Flower and DoM side by side, many nodes with a small model."""

import statistics
from typing import Any

from flower import sized_run

ROUNDS = 3
REPEATS = 2


def measure(nodes: int, megabytes: float) -> dict[str, Any]:
    """Run both, in turns; the first round starts nodes and is left out."""
    runs: list[dict[str, Any]] = []
    for _ in range(REPEATS):
        for codec in ("plain", "dom"):
            one = sized_run(codec, nodes=nodes, megabytes=megabytes, rounds=ROUNDS)
            one["peak"] = max(size for _, size in one.pop("samples"))
            runs.append(one)
            print(one, flush=True)
    return {"nodes": nodes, "megabytes": megabytes, "runs": runs}


def table(found: dict[str, Any]) -> list[str]:
    """Write the table."""
    lines = ["| | ms per message | rounds after the first, s | memory at most, GB |", "|---|---|---|---|"]
    for codec, name in (("plain", "plain Flower"), ("dom", 'DoM, `effort="fast"`')):
        runs = [one for one in found["runs"] if one["codec"] == codec]
        rounds = [second for one in runs for second in one["seconds"][1:]]
        each = 1000 * statistics.mean(rounds) / found["nodes"]
        told = ", ".join(f"{second:.1f}" for second in rounds)
        lines.append(f"| {name} | {each:.1f} | {told} | {max(one['peak'] for one in runs) / 1e9:.2f} |")
    return lines
