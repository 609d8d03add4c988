"""The city on a Ray cluster of two machines: network namespaces with an address and a folder of FedRetina each."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

APPS = Path(__file__).parents[2] / "simulations"
BIN = Path(sys.executable).parent
SMALL = "domains=6 districts=2 turns=3 samples=60 home-epochs=2"
TIMEOUT_S = 900


@dataclass
class Machine:
    """A namespace, its address, and the environment of its processes."""

    name: str
    address: str
    env: dict[str, str]

    def run(self, *words):
        command = ["ip", "netns", "exec", self.name, *words]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout + done.stderr

    def end(self):
        """End all processes of the namespace, and the namespace."""
        pids = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False).stdout
        for pid in pids.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", self.name], check=False)


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def can_make_namespaces():
    """Whether this user may make a namespace and a pair of devices."""
    if shutil.which("ip") is None:
        return False
    name = f"frray-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=False)
    return made


@pytest.fixture
def machines(tmp_path):
    """Two machines, joined by a cable. Flower's folder is on a disk that both see; FedRetina's are their own."""
    if not can_make_namespaces():
        pytest.skip("network namespaces cannot be made here")
    found = []
    for letter, address in (("a", "10.88.0.1"), ("b", "10.88.0.2")):
        env = os.environ | {"FLWR_HOME": str(tmp_path / "flwr"), "FEDRETINA_HOME": str(tmp_path / letter), "NO_COLOR": "1"}
        env |= {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        env |= {"RAY_ADDRESS": "10.88.0.1:6379", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        found.append(Machine(f"frray-{letter}-{os.getpid()}", address, env))
    try:
        for machine in found:
            ip("netns", "add", machine.name)
            ip("-n", machine.name, "link", "set", "lo", "up")
        one, other = found
        ip("link", "add", "eth0", "netns", one.name, "type", "veth", "peer", "name", "eth0", "netns", other.name)
        for machine in found:
            ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", "eth0")
            ip("-n", machine.name, "link", "set", "eth0", "up")
        yield found
    finally:
        for machine in found:
            machine.end()


@pytest.mark.slow
def test_two_machines_give_the_models_of_one(machines, tmp_path, tmp_path_factory):
    head, other = machines
    sockets = tmp_path_factory.mktemp("r")  # paths of sockets must be short
    ray = ["--num-cpus=1", "--disable-usage-stats"]
    start = ["ray", "start", "--head", f"--node-ip-address={head.address}", "--port=6379", "--include-dashboard=false"]
    del head.env["RAY_ADDRESS"]
    head.run(*start, f"--temp-dir={sockets}", *ray)
    head.env["RAY_ADDRESS"] = f"{head.address}:6379"
    other.run("ray", "start", f"--address={head.address}:6379", f"--node-ip-address={other.address}", *ray)
    out, alone = tmp_path / "cluster", tmp_path / "alone"
    federation = "num-supernodes=6 client-resources-num-cpus=1"
    words = ["flwr", "run", str(APPS / "city_scale"), "--stream", "-c", f"{SMALL} out='{out}'"]
    printed = head.run(*words, "--federation-config", federation)
    assert (out / "city.json").exists(), printed[-3000:]
    run_name = json.loads((out / "config.json").read_text())["run-name"]
    for machine in machines:  # both machines have worked
        assert list((Path(machine.env["FEDRETINA_HOME"]) / "nodes" / "city_scale" / run_name).iterdir())
    command = [sys.executable, str(APPS / "city_scale"), *SMALL.split(), "processes=1", f"out={alone}"]
    environment = os.environ | {"FEDRETINA_HOME": str(tmp_path / "c"), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=TIMEOUT_S)
    assert turns(out) == turns(alone)


def turns(folder):
    """The turns but for what was sent again: a machine that lacks a version gets it then."""
    found = json.loads((folder / "city.json").read_text())["turns"]
    return [{key: value for key, value in turn.items() if key != "resent"} for turn in found]
