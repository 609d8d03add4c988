"""Measure a city on a slow network, and write docs/results/city-network.md.

    python benchmarks/city

It needs root, iproute2 and /dev/net/tun, and takes about ten minutes.
"""

import argparse
import os
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path

from city.city_run import CUT, CUT_AFTER, CUT_S, EDGES, SERVER, enrol, restart_plain, run
from city.machines import Network, network
from city.page import write
from fedretina.study import Results

PAGE = Path(__file__).parents[2] / "docs" / "results" / "city-network.md"


def measure(folder: Path, rounds: int) -> dict[str, object]:
    begin = time.monotonic()
    with network(folder, [SERVER, *EDGES]) as found:
        enrolled, first = enrol(found), list[float]()

        def on_round(number: int) -> None:
            first.append(time.monotonic() - begin)
            if number == CUT_AFTER:
                _cut(found)

        dom = run(found, "dom", "codec='dom'", rounds, on_round)
        typed = {name: list(machine.typed) for name, machine in found.machines.items()}
        restart_plain(found)
        plain = run(found, "plain", "codec='none'", rounds, lambda number: None)
    return {
        "enrolled_s": enrolled,
        "first_round_s": first[0] if first else float("nan"),
        "dom": asdict(dom),
        "plain": asdict(plain),
        "typed": typed,
        "actions": sum(map(len, typed.values())) - 1,
        "load": os.getloadavg()[2],
    }


def _cut(found: Network) -> None:
    found.tell("cut", CUT)
    timer = threading.Timer(CUT_S, lambda: found.tell("mend", CUT))
    timer.daemon = True
    timer.start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--state", type=Path, default=Path("build/city"), help="folder of the stored measurement")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()

    def measured() -> dict[str, object]:
        with tempfile.TemporaryDirectory(prefix="city-", ignore_cleanup_errors=True) as folder:
            return measure(Path(folder), options.rounds)

    write(Results(options.state).measured("network", measured, key=str(options.rounds)), options.page)


if __name__ == "__main__":
    main()
