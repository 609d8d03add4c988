"""A sealed run on real processes whose SuperLink and one node are killed after the first round: it goes on where it was.

Four nodes on loopback, enrolled by the commands of the guide: a target, two sources and a front end. TLS, node
authentication, and policies that demand seals.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from fedretina import ledger
from fedretina.city import CITY_VARIABLE
from fedretina.city.processes import free_port
from fedretina.dom import digest
from fedretina.runs import load, read_state

APP = Path(__file__).parents[2] / "simulations" / "duke_target"
TARGET, KILLED, FRONT_END = "duke", "market1501", "kiosk"
SOURCES = ("msmt17", KILLED)
DOMAINS = (TARGET, *SOURCES)
NODES = (*DOMAINS, FRONT_END)
ROUNDS = 3
SHORT = (
    f"sources='{','.join(SOURCES)}' rounds={ROUNDS} local-epochs=1 home-epochs=1 epoch-images=32 committee=false "
    "baselines=false body-rounds=0 co-training='off' image-height=64 image-width=32 seal=true"
)
REQUIRE_SEALED = "[trust]\nrequire_sealed = true\n"
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


class Town:
    """The machines' folders, and the commands that their operators type."""

    def __init__(self, env, folder):
        self.env, self.folder, self.city, self.out = env, folder, folder / "town", folder / "run"

    def start(self, *words):
        return subprocess.Popen(
            words, env=self.env, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def finish(self, process):
        out, err = process.communicate(timeout=900)
        assert process.returncode == 0, out[-3000:] + err[-3000:]
        return out

    def fedretina(self, *words):
        return self.finish(self.start("fedretina", "city", *words))

    def on_every_node(self, *words):
        """Type a command on all edge machines at the same time; {} stands for the node's name."""
        for process in [self.start("fedretina", "city", *(word.format(name) for word in words)) for name in NODES]:
            self.finish(process)

    def enrol(self):
        said = self.fedretina("init", "town", "--name", "town", "--address", f"127.0.0.1:{free_port()}")
        fingerprint = next(line.strip() for line in said.splitlines() if line.startswith("    "))
        self.fedretina("up", "town")
        for name in NODES:
            role = "front-end" if name == FRONT_END else "edge"
            self.fedretina("request", "--domains", name, "--role", role, "--dir", name, "-o", f"{name}.request")
            (self.folder / name / "policy.toml").write_text(REQUIRE_SEALED)
        self.fedretina("approve", *(f"{name}.request" for name in NODES), "--dir", "town")
        self.on_every_node("join", "{}.join", "--dir", "{}", "--fingerprint", fingerprint)

    def run(self, *config):
        return self.start("flwr", "run", str(APP), "town", "--stream", "-c", " ".join(config))

    def status(self):
        return {row["node"]: row for row in json.loads(self.fedretina("status", "town", "--json"))}

    def rounds(self):
        state = self.out / "state.json"
        return json.loads(state.read_text())["targets"].get(TARGET, {}).get("rounds", []) if state.exists() else []

    def installed(self, folder):
        return json.loads((self.folder / folder / "memory.json").read_text())["installed"]


@pytest.mark.slow
def test_the_superlink_and_a_node_are_killed_and_the_run_goes_on(env, tmp_path):
    town = Town(env, tmp_path)
    town.enrol()
    assert {(row["connection"], row["last_report_s"]) for row in town.status().values()} == {("online", None)}

    run = town.run(SHORT, f"out='{town.out}'")
    end = time.monotonic() + PATIENCE_S
    while not town.rounds() and run.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    kill(CITY_VARIABLE, town.city)
    os.killpg(int((tmp_path / KILLED / "flower.pid").read_text()), signal.SIGKILL)
    run.kill()
    said, before = run.communicate(), town.rounds()
    assert len(before) == 1, said
    lines = (town.out / "ledger.jsonl").read_bytes().rpartition(b"\n")[0]

    town.fedretina("up", "town")
    town.fedretina("up", KILLED)  # it waits until the server no longer counts the killed node as online
    town.finish(town.run(f"resume='{town.out}'"))
    assert load(town.out).status == "completed"
    assert [entry["round"] for entry in town.rounds()] == list(range(1, ROUNDS + 1))
    assert town.rounds()[0] == before[0]

    check_nothing_is_repeated(town, lines)
    check_digests(town)
    check_bytes(town, lines.count(b"\n") + 1)
    status = town.status()
    assert [row["connection"] for row in status.values()] == ["online"] * len(NODES)
    assert all(row["behind"] == 0 and row["attacks"] == {} for row in status.values())


def check_nothing_is_repeated(town, lines):
    """Check that the resumed rounds build on what both ends held before, and that the rows before the kill stay."""
    assert (town.out / "ledger.jsonl").read_bytes().startswith(lines)
    after = [row for row in ledger.read(town.out / "ledger.jsonl")[lines.count(b"\n") + 1 :] if row.stream]
    assert {row.round for row in after} == {2, 3}
    assert {row.kind for row in after if row.domain != FRONT_END} == {"delta"}
    assert not [row for row in after if row.error]


def check_digests(town):
    """Check that makers, server, target and front end hold the same versions, and that the server could read none."""
    sealed = read_state(town.out).sealed
    server, target, front_end = (town.installed(name) for name in ("town", TARGET, FRONT_END))
    assert sealed.keys() == server.keys() == set(DOMAINS)
    assert {name: version[1] for name, version in server.items()} == sealed
    assert target == {name: server[name] for name in SOURCES}
    assert front_end == {TARGET: server[TARGET]}
    assert digest(load_file(town.folder / FRONT_END / "models" / f"{TARGET}.safetensors")) == sealed[TARGET]
    assert not (town.out / "models").exists()
    assert all(path.read_bytes().find(b"FRS1") > 0 for path in (town.out / "streams" / "sealed").rglob("*.sealed"))


def check_bytes(town, before):
    """Check that the ledger agrees with what Flower counted.

    Messages that were open at the kill may differ: Flower does not count those that no node fetched. It does count replies
    that were sent after the restart and that nobody waited for. So the killed run may differ by what its open messages
    carry, here at most all of the round that the resumed run did again. The resumed run may not differ.
    """
    runs = json.loads(town.finish(town.start("flwr", "ls", "town", "--format", "json")))["runs"]
    killed, resumed = (run["network-traffic"]["total-bytes"] for run in sorted(runs, key=lambda run: run["pending-at"]))
    rows = ledger.read(town.out / "ledger.jsonl")
    after = rows[before:]
    assert ledger.totals(after).wire == pytest.approx(resumed, rel=0.01)
    open_round = min(row.round for row in after if row.stream)  # control messages at the start of a run have round 0
    in_flight = ledger.totals(row for row in after if row.round == open_round).wire
    assert ledger.totals(rows[:before]).wire == pytest.approx(killed, rel=0.01, abs=in_flight)
