"""Machines on one computer: network namespaces with an address, a home and a working folder each."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from city.link import MTU

NETWORK = "10.77.0"


@dataclass
class Machine:
    """A namespace. `typed` holds every command of `type`, as its operator would type it."""

    name: str
    address: str
    folder: Path
    typed: list[str] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        return f"fedretina-{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        found = {key: value for key, value in os.environ.items() if not key.startswith(("FLWR_", "FEDRETINA_"))}
        quiet = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "OMP_NUM_THREADS": "1"}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return found | quiet | {"HOME": str(self.folder), "PATH": path, "COLUMNS": "100"}

    def command(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, *words]

    def type(self, line: str) -> str:
        """Run a line that an operator types, and return what it prints."""
        self.typed.append(line)
        done = subprocess.run(
            self.command(*shlex.split(line)),
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{self.name}: `{line}` failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done.stdout

    def start(self, words: list[str], log: str) -> "subprocess.Popen[bytes]":
        """Start a process that goes on."""
        with (self.folder / log).open("ab") as file:
            return subprocess.Popen(
                self.command(*words), cwd=self.folder, env=self.environment, stdout=file, stderr=file, start_new_session=True
            )


@dataclass
class Network:
    """The machines, and the process that is the network between them."""

    machines: dict[str, Machine]
    link: "subprocess.Popen[str]"
    counts: Path

    def tell(self, order: str, machine: str) -> None:
        """Cut or mend the link of a machine."""
        assert self.link.stdin is not None
        self.link.stdin.write(f"{order} {self.machines[machine].address}\n")
        self.link.stdin.flush()

    def bytes_of(self, machine: str) -> int:
        """Return the bytes of the machine's packets so far, both ways."""
        time.sleep(1.5)  # the counts are written each second
        found = json.loads(self.counts.read_text())[self.machines[machine].address]
        return int(found["up"] + found["down"])


@contextmanager
def network(folder: Path, names: list[str]) -> Iterator[Network]:
    """Make namespaces with these names; remove them, and end all that runs in them, at last."""
    machines = {name: Machine(name, f"{NETWORK}.{i}", folder / name) for i, name in enumerate(names, 1)}
    devices = {machine.name: f"fr{i}" for i, machine in enumerate(machines.values())}
    counts = folder / "counts.json"
    words = [f"{devices[name]}={machine.address}" for name, machine in machines.items()]
    program = [sys.executable, str(Path(__file__).with_name("link.py")), *words, str(counts)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as link:
        try:
            assert link.stdout is not None
            link.stdout.readline()
            for machine in machines.values():
                machine.folder.mkdir(parents=True)
                _connect(machine, devices[machine.name])
            yield Network(machines, link, counts)
        finally:
            for machine in machines.values():
                _remove(machine)
            link.kill()


def _connect(machine: Machine, device: str) -> None:
    space = machine.namespace
    for line in (
        f"ip netns add {space}",
        f"ip link set {device} netns {space}",
        f"ip -n {space} addr add {machine.address}/24 dev {device}",
        f"ip -n {space} link set lo up",
        f"ip -n {space} link set {device} mtu {MTU} up",
    ):
        subprocess.run(line.split(), check=True)


def _remove(machine: Machine) -> None:
    found = subprocess.run(["ip", "netns", "pids", machine.namespace], capture_output=True, text=True, check=False).stdout
    if pids := found.split():
        subprocess.run(["kill", "-9", *pids], check=False)
    subprocess.run(["ip", "netns", "del", machine.namespace], check=False)
