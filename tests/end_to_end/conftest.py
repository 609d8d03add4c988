"""A Flower of the test's own: its FLWR_HOME, its ports, its SuperLink, ended afterwards."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PORT = "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT"
PATIENCE_S = 30


def free_port() -> int:
    with closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@dataclass
class Flower:
    folder: Path
    env: dict[str, str]

    def start(self, *config: str, app: str = "duke_target", federation: str = "") -> subprocess.Popen:
        """Begin `flwr run`; what it prints goes to one pipe, which must be read or ended."""
        command = [
            str(Path(sys.executable).parent / "flwr"),
            "run",
            str(ROOT / "simulations" / app),
            "--stream",
        ]
        command += ["-c", " ".join(config)] if config else []
        command += ["--federation-config", federation] if federation else []
        return subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *config: str, app: str = "duke_target", federation: str = "", timeout: float = 900) -> str:
        output = self._run(*config, app=app, federation=federation, timeout=timeout)
        # `flwr run` waits 15 s for its SuperLink, which can take longer on a machine that does other things too.
        late = "Failed to start local SuperLink" in output
        return self._run(*config, app=app, federation=federation, timeout=timeout) if late else output

    def _run(self, *config: str, app: str, federation: str, timeout: float) -> str:
        with self.start(*config, app=app, federation=federation) as process:
            try:
                return process.communicate(timeout=timeout)[0]
            finally:
                process.kill()

    def fedretina(self, *words: str) -> subprocess.CompletedProcess:
        command = [str(Path(sys.executable).parent / "fedretina"), *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120, check=False)

    def processes(self) -> Iterator[int]:
        """Everything that runs for this Flower: all inherit the port, which no other has."""
        mine = f"{PORT}={self.env[PORT]}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mine in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)

    def kill(self) -> None:
        """End the SuperLink, the simulation and what they have started, as a power cut would."""
        end = time.monotonic() + PATIENCE_S
        while (found := list(self.processes())) and time.monotonic() < end:
            for process in found:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.1)
        assert not found, f"processes that do not end: {found}"


def flower_in(folder: Path) -> Iterator[Flower]:
    ports = {PORT: str(free_port()), "FLWR_LOCAL_CONTROL_API_PORT": str(free_port())}
    env = os.environ | ports
    env |= {"FLWR_HOME": str(folder / "flwr"), "FEDRETINA_HOME": str(folder / "fedretina")}
    env |= {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "NO_COLOR": "1", "COLUMNS": "200"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    flower = Flower(folder, env)
    yield flower
    flower.kill()


@pytest.fixture(scope="session")
def flower(tmp_path_factory):
    """Shared by all tests: its SuperLink starts once."""
    yield from flower_in(tmp_path_factory.mktemp("flower"))


@pytest.fixture
def own_flower(tmp_path):
    """For a test that kills it."""
    yield from flower_in(tmp_path / "flower")
