"""Enrol three edges by the guide's commands, and run rounds with DoM and without."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from city.machines import Network
from fedretina import ledger
from fedretina.city import CityFolder, NodeFolder, superlink_command, supernode_command

APP = Path(__file__).parents[2] / "simulations" / "duke_target"
SERVER, TARGET, CUT = "server", "duke", "msmt17"
EDGES = (TARGET, CUT, "market1501")
SOURCES = EDGES[1:]
CUT_S = 120.0
CUT_AFTER = 2
PATIENCE_S = 900.0
TRAINING = "local-epochs=1 home-epochs=1 epoch-images=128 committee=false baselines=false body-rounds=0 co-training='off'"


@dataclass(frozen=True)
class Rounds:
    """One run: seconds of each round, bytes in its ledger, the server's bytes on the network, and how it ended."""

    seconds: list[float]
    ledger_bytes: int
    network_bytes: int
    status: str
    error: str


def enrol(network: Network) -> float:
    """Type the guide's lines on all machines; return the seconds. Files are copied as mail would."""
    begin, server = time.monotonic(), network.machines[SERVER]
    edges = [network.machines[name] for name in EDGES]
    said = server.type(f"fedretina city init city --name city --address {server.address}:9093")
    fingerprint = next(line.strip() for line in said.splitlines() if line.startswith("    "))
    server.type("fedretina city up city")
    for edge in edges:
        edge.type(f"fedretina city request --domains {edge.name} -o {edge.name}.request")
        shutil.copy(edge.folder / f"{edge.name}.request", server.folder)
    server.type(f"fedretina city approve {' '.join(f'{edge.name}.request' for edge in edges)}")
    for edge in edges:
        shutil.copy(server.folder / f"{edge.name}.join", edge.folder)
        edge.type(f'fedretina city join {edge.name}.join --fingerprint "{fingerprint}"')
    return time.monotonic() - begin


def run(network: Network, name: str, settings: str, rounds: int, on_round: Callable[[int], None]) -> Rounds:
    """Run the app, and note when each round ends."""
    server = network.machines[SERVER]
    out, before = server.folder / name, network.bytes_of(SERVER)
    given = f"targets='{TARGET}' sources='{','.join(SOURCES)}' rounds={rounds} {TRAINING} {settings} out='{out}'"
    server.typed.append(f'flwr run simulations/duke_target city --stream -c "{given}"')
    begin, ends = time.monotonic(), list[float]()
    with server.start(["flwr", "run", str(APP), "city", "--stream", "-c", given], f"{name}.log") as process:
        while process.poll() is None and time.monotonic() - begin < PATIENCE_S:
            done = _rounds_done(out)
            while len(ends) < done:
                ends.append(time.monotonic())
                on_round(len(ends))
            time.sleep(0.2)
        process.kill()
    starts = [_began(out, begin), *ends]
    summary = json.loads((out / "summary.json").read_text()) if (out / "summary.json").exists() else {}
    sent = ledger.totals(ledger.read(out / "ledger.jsonl"))
    return Rounds(
        [end - start for start, end in zip(starts, ends, strict=False)],
        sent.wire,
        network.bytes_of(SERVER) - before,
        summary.get("status", "interrupted"),
        summary.get("error", ""),
    )


def restart_plain(network: Network) -> None:
    """Start the same processes without the city's keys: plain Flower over TLS, with models as they are."""
    for machine in network.machines.values():
        machine.type(f"fedretina city down {'city' if machine.name == SERVER else 'node'}")
    time.sleep(70)  # for a minute the server counts the nodes as online
    server = network.machines[SERVER]
    server.start(superlink_command(CityFolder.load(server.folder / "city")), "plain.log")
    time.sleep(10)
    for name in EDGES:
        node = NodeFolder.load(network.machines[name].folder / "node")
        words = [word.replace(f' city="{node.path.absolute()}"', "") for word in supernode_command(node, 9094)]
        network.machines[name].start(words, "plain.log")
    time.sleep(10)


def _rounds_done(out: Path) -> int:
    try:
        found: dict[str, Any] = json.loads((out / "state.json").read_text())["targets"]
    except (OSError, ValueError):
        return 0
    return len(found.get(TARGET, {}).get("rounds", []))


def _began(out: Path, default: float) -> float:
    """Return when the first round began: when the run's folder got its configuration."""
    file = out / "config.json"
    return default if not file.exists() else time.monotonic() - (time.time() - file.stat().st_mtime)
