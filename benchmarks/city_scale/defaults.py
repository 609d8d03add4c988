"""The city with its defaults, by `flwr run`, from nothing to the page: Flower, its SuperLink and Ray start too."""

import os
import time
from pathlib import Path
from typing import Any

from any_strategy.flower import flower
from fedretina.runs import read_city
from fedretina.study import Results

APP = Path(__file__).parents[2] / "simulations" / "city_scale"
NAME = "defaults"


def measure(folder: Path) -> None:
    """Run it once, and store the seconds, the load of the machine, and the rounds."""
    print(NAME, Results(folder).measured(NAME, _run), flush=True)


def _run() -> dict[str, Any]:
    began = time.monotonic()
    with flower() as one:
        output = one.run(APP)
        seconds = time.monotonic() - began
        folders = [path.parent for path in (one.folder / "fedretina" / "runs").glob("*/city.json")]
        if len(folders) != 1 or not (folders[0] / "city.html").exists():
            raise SystemExit(f"the run has no page:\n{output[-3000:]}")
        city = read_city(folders[0])
        failed = sum(1 for turn in city.turns if turn["error"])
        page = (folders[0] / "city.html").stat().st_size
    return {
        "seconds": seconds, "load": os.getloadavg()[1], "rounds": city.rounds, "domains": len(city.domains),
        "turns": len(city.turns), "failed": failed, "page": page,
    }  # fmt: skip
