"""What a message costs as a city grows: relays beside plain Flower, in Flower's simulation with two actors."""

import json
import os
from pathlib import Path
from typing import Any

from any_strategy.flower import Watch, flower
from fedretina.study import Results

APP = Path(__file__).parent / "relay_app"
CODECS = {"plain": "plain Flower", "relay": "FedRetina, relayed payloads"}
SIZES = ((10, 1.0), (100, 1.0), (1000, 1.0), (10, 10.0), (100, 10.0), (10, 100.0), (3000, 1.0), (100, 100.0))
"""Numbers of nodes and megabytes of a model."""
ROUNDS = 3
LIMIT_GB = 12.0


def measure_all(folder: Path, sizes: tuple[tuple[int, float], ...] = SIZES) -> None:
    """Measure what is not stored yet; both codecs of a size one after the other."""
    for nodes, megabytes in sizes:
        for codec in CODECS:
            name = f"{codec}-{nodes}-{megabytes:g}"
            found = Results(folder).measured(name, lambda: _run(codec, nodes, megabytes))  # noqa: B023
            print(
                name,
                {key: value for key, value in found.items() if key != "rounds"},
                found.get("rounds", [])[-1:],
                flush=True,
            )


def _run(codec: str, nodes: int, megabytes: float) -> dict[str, Any]:
    with flower() as one, Watch(one, LIMIT_GB * 1e9) as watch:
        out = one.folder / "run" / "out.json"
        out.parent.mkdir()
        config = f"codec='{codec}' megabytes={megabytes} rounds={ROUNDS} out='{out}'"
        output = one.run(APP, "--federation-config", f"num-supernodes={nodes} client-resources-num-cpus=1", config=config)
        found = json.loads(out.read_text()) if out.exists() else {"rounds": []}
    if len(found["rounds"]) < ROUNDS and not watch.killed:
        print(output[-3000:])
    peak = max((size for _, size in watch.samples), default=0)
    return found | {
        "codec": codec,
        "nodes": nodes,
        "megabytes": megabytes,
        "all_processes": peak,
        "killed": watch.killed,
        "load": os.getloadavg()[1],
        "cores": len(os.sched_getaffinity(0)),
    }
