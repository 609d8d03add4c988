"""NVIDIA FLARE and pfl-research on the same work, each by the Python of an environment of its own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from fedretina.study import Results

HERE = Path(__file__).parent / "frameworks"
ROUNDS = 4
PFL_SIZES = ((10, 1.0), (100, 1.0), (1000, 1.0), (3000, 1.0), (10, 10.0), (10, 100.0), (100, 100.0))
FLARE_CLIENTS, FLARE_ROUNDS = 10, (1, 3)
"""The cost of a message is the difference of two runs: the simulator's start is in both."""
FLARE_RUNS = {"a process for each client": FLARE_CLIENTS, "two processes": 2}
TIMEOUT_S = 1500


def measure_pfl(folder: Path, python: str) -> None:
    """Measure pfl-research's cost for each client, in one process."""
    for clients, megabytes in PFL_SIZES:
        name = f"pfl-{clients}-{megabytes:g}"
        command = [python, str(HERE / "pfl_job.py"), str(clients), f"{megabytes:g}", str(ROUNDS)]
        found = Results(folder).measured(
            name,
            lambda: _run(command) | {"nodes": clients, "megabytes": megabytes},  # noqa: B023
        )
        print(name, found, flush=True)


def measure_flare(folder: Path, python: str) -> None:
    """Measure NVIDIA FLARE's simulator with tensors offloaded to disk, at 1 MB."""
    for threads in FLARE_RUNS.values():
        for rounds in FLARE_ROUNDS:
            command = [python, str(HERE / "nvflare_job.py"), str(FLARE_CLIENTS), "1", str(rounds), str(threads)]
            name = f"flare-{FLARE_CLIENTS}-{threads}-{rounds}"
            print(name, Results(folder).measured(name, lambda: _run(command)), flush=True)  # noqa: B023


def _run(command: list[str]) -> dict[str, Any]:
    """Run a program whose last line is JSON; an error is kept, so that the page can name it."""
    environment = os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except subprocess.TimeoutExpired:
        return {"error": f"did not end within {TIMEOUT_S} s"}
    except subprocess.CalledProcessError as error:
        return {"error": (error.stderr or "no output").strip().splitlines()[-1]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
