"""A Flower of the test's own: its FLWR_HOME, its ports, its SuperLink, ended afterwards."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def free_port() -> int:
    with closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@dataclass
class Flower:
    folder: Path
    env: dict[str, str]

    def run(self, *config: str, federation: str = "", timeout: float = 900) -> str:
        command = [
            str(Path(sys.executable).parent / "flwr"),
            "run",
            str(ROOT / "simulations" / "duke_target"),
            "--stream",
        ]
        command += ["-c", " ".join(config)] if config else []
        command += ["--federation-config", federation] if federation else []
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=timeout, check=False)
        return done.stdout + done.stderr

    def fedretina(self, *words: str) -> subprocess.CompletedProcess:
        command = [str(Path(sys.executable).parent / "fedretina"), *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120, check=False)


def end_superlink(port: str) -> None:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(b"flower-superlink" in word for word in words) and port.encode() in words:
            os.kill(int(entry.name), signal.SIGTERM)


@pytest.fixture(scope="session")
def flower(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flower")
    ports = {
        "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(free_port()),
        "FLWR_LOCAL_CONTROL_API_PORT": str(free_port()),
    }
    env = os.environ | ports
    env |= {"FLWR_HOME": str(folder / "flwr"), "FEDRETINA_HOME": str(folder / "fedretina")}
    env |= {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "NO_COLOR": "1", "COLUMNS": "200"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    yield Flower(folder, env)
    end_superlink(ports["FLWR_LOCAL_SUPERLINK_HTTP_API_PORT"])
