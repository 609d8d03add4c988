"""A thousand domains, run twice: once without a break, once killed in the middle of a round and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedretina.runs import read_city, read_config
from fedretina.study import Results

APP = Path(__file__).parents[2] / "simulations" / "city_scale"
CITY = {"domains": 1000, "turns": 3}
"""The configuration, beside the defaults."""
KILLED_AFTER = 0.5
"""The share of the replies after which the second run is killed."""
UNEQUAL = ("node", "encode_s", "decode_s")
"""Fields of the ledger that differ from run to run: nodes' identifiers, and seconds."""


def command(**more: Any) -> list[str]:
    """Return the arguments of a run."""
    return [f"{key}={value}" for key, value in (CITY | more).items()]


def measure(folder: Path, *, processes: int) -> None:
    """Run both cities, and store what they took and whether their numbers are equal.

    Parameters
    ----------
    folder : Path
        The runs and the results are kept here.
    processes : int
        Processes that train.
    """
    results = Results(folder)
    whole, killed = (_Run(folder.absolute() / name, processes) for name in ("whole", "killed"))
    print("whole", results.measured("whole", whole.to_end), flush=True)
    print("killed", results.measured("killed", lambda: killed.to_kill(KILLED_AFTER)), flush=True)
    print("resumed", results.measured("resumed", killed.to_end), flush=True)
    print("equal", results.measured("equal", lambda: equal(whole, killed)), flush=True)


def equal(one: "_Run", other: "_Run") -> dict[str, bool]:
    """Tell whether two runs have equal turns, equal versions of all models, and equal rows of the ledger."""
    kinds: dict[str, Callable[[_Run], Any]] = {"turns": _turns, "models": _models, "ledger": _ledger}
    return {name: of(one) == of(other) for name, of in kinds.items()}


@dataclass
class _Run:
    """A run of the city in a folder, with models of its own."""

    folder: Path
    processes: int

    @property
    def out(self) -> Path:
        return self.folder / "run"

    def to_end(self) -> dict[str, Any]:
        """Run, or go on, to the end."""
        began = time.monotonic()
        process = self._start(f"resume={self.out}" if self.out.exists() else f"out={self.out}")
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"the run failed: see {self._log}")
        return {
            "seconds": time.monotonic() - began, "cpu": used.ru_utime + used.ru_stime, "rss": 1024 * used.ru_maxrss,
            "load": os.getloadavg()[1], "cores": len(os.sched_getaffinity(0)), "processes": self.processes,
            "rounds": read_city(self.out).rounds, "replies": self._replies(),
        }  # fmt: skip

    def to_kill(self, share: float) -> dict[str, Any]:
        """Start a run, and kill all its processes when it has a share of the replies."""
        began, wanted = time.monotonic(), share * CITY["domains"] * CITY["turns"]
        process = self._start(f"out={self.out}")
        while self._replies() < wanted and process.poll() is None:
            time.sleep(0.5)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if (self.out / "city.json").exists():
            raise SystemExit(f"the run in {self.out} was over before it was killed")
        return {"seconds": time.monotonic() - began, "replies": self._replies()}

    @property
    def _log(self) -> Path:
        return self.folder / "printed.log"

    def _start(self, *more: str) -> "subprocess.Popen[bytes]":
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"FEDRETINA_HOME": str(self.folder / "home"), "OMP_NUM_THREADS": "1"}
        arguments = [sys.executable, str(APP), *command(processes=self.processes), *more]
        with self._log.open("ab") as log:
            return subprocess.Popen(arguments, env=environment, stdout=log, stderr=log, start_new_session=True)

    def _replies(self) -> int:
        return sum(1 for _ in self.out.glob("replies/*/*.reply"))


def _turns(run: _Run) -> Any:
    return json.loads((run.out / "city.json").read_text())["turns"]


def _models(run: _Run) -> set[str]:
    """Return the digests of all versions that the run made; they name files."""
    nodes = run.folder / "home" / "nodes" / "city_scale" / str(read_config(run.out).values["run-name"])
    return {file.name for file in nodes.glob("*.ref")}


def _ledger(run: _Run) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run.out / "ledger.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in UNEQUAL} for row in rows]
