"""A city whose SuperLink and one node are killed after the first round: all come back, and the run is resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from fedretina import ledger
from fedretina.city import CITY_VARIABLE
from fedretina.city.processes import free_port
from fedretina.runs import load

APP = Path(__file__).parents[2] / "simulations" / "duke_target"
SHORT = (
    "sources='market1501' rounds=2 local-epochs=1 home-epochs=1 epoch-images=32 committee=false baselines=false "
    "body-rounds=0 co-training='off' image-height=64 image-width=32"
)
PATIENCE_S = 300


@pytest.fixture
def env(tmp_path):
    """The variables of a home of its own; all processes that have them are ended at last."""
    found = {**os.environ, "FLWR_HOME": str(tmp_path / "flwr"), "FEDRETINA_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    found["PATH"] = f"{Path(sys.executable).parent}:{found['PATH']}"
    yield found
    kill("FLWR_HOME", found["FLWR_HOME"])


def processes_with(variable, value):
    wanted = f"{variable}={value}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)


def kill(variable, value):
    """End all processes that have a variable, as a power cut would."""
    while found := list(processes_with(variable, value)):
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.1)


def command(env, folder, *words):
    done = subprocess.run(words, env=env, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def rounds_of(out):
    state = out / "state.json"
    return json.loads(state.read_text())["targets"].get("duke", {}).get("rounds", []) if state.exists() else []


@pytest.mark.slow
def test_the_superlink_and_a_node_are_killed_and_the_run_goes_on(env, tmp_path):
    city, out = tmp_path / "town", tmp_path / "run"

    def fedretina(*words):
        return command(env, tmp_path, "fedretina", "city", *words)

    fedretina("init", "town", "--name", "town", "--local", "--address", f"127.0.0.1:{free_port()}")
    fedretina("up", "town", "--local", "--domains", "duke,market1501")
    run = ["flwr", "run", str(APP), "town", "--stream", "-c"]
    log = (tmp_path / "first.log").open("w")
    with log, subprocess.Popen([*run, f"{SHORT} out='{out}'"], env=env, cwd=tmp_path, stdout=log, stderr=log) as first:
        end = time.monotonic() + PATIENCE_S
        while not rounds_of(out) and first.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        os.killpg(int((city / "local" / "market1501" / "flower.pid").read_text()), signal.SIGKILL)
        kill(CITY_VARIABLE, city)
        first.kill()
    before = rounds_of(out)
    assert len(before) == 1, (tmp_path / "first.log").read_text()
    lines = (out / "ledger.jsonl").read_bytes().rpartition(b"\n")[0]

    fedretina("up", "town", "--local")  # it waits until the server no longer counts the killed node as online
    command(env, tmp_path, *run, f"resume='{out}'")
    done = load(out)
    assert done.status == "completed"
    assert [entry["round"] for entry in rounds_of(out)] == [1, 2]
    assert rounds_of(out)[0] == before[0]

    # What was done is not repeated, and the differences build on what both ends held before.
    rows = ledger.read(out / "ledger.jsonl")
    assert (out / "ledger.jsonl").read_bytes().startswith(lines)
    after = [row for row in rows[lines.count(b"\n") + 1 :] if row.stream]
    assert {row.round for row in after} == {2}
    assert {row.kind for row in after} == {"delta"}
    assert not [row for row in after if row.error]

    # The same versions everywhere, and nobody took a restart for an attack.
    last = {row.stream: row.digest for row in after if row.direction == "up"}
    held = json.loads((city / "local" / "duke" / "memory.json").read_text())["installed"]
    assert held["market1501"] == [len(rounds_of(out)), last["market1501"]]
    status = {row["node"]: row for row in json.loads(fedretina("status", "town", "--json"))}
    assert all(row["bytes_today"] > 10_000 for row in status.values())
    assert [(row["connection"], row["behind"], row["attacks"]) for row in status.values()] == [("online", 0, {})] * 2
