"""A separate Flower for the benchmark: its own FLWR_HOME, ports and processes, and the memory that they use."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SIZED_APP = HERE / "sized_app"


def free_port() -> int:
    """Find a port that nobody listens on."""
    with closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@dataclass
class Flower:
    """A Flower with its own folder, environment and ports.

    Parameters
    ----------
    folder : Path
        Holds FLWR_HOME and the logs.
    env : dict of str to str
        The environment of its processes.
    started : list of Popen
        The processes that were started.
    """

    folder: Path
    env: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a process; `end` ends it."""
        with (self.folder / f"{Path(command[0]).name}-{len(self.started)}.log").open("wb") as log:
            process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log, start_new_session=True)
        self.started.append(process)
        return process

    def run(self, app: Path, *words: str, config: str = "") -> str:
        """Run an app to its end."""
        command = ["flwr", "run", str(app), *words, "--stream", *(["-c", config] if config else [])]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def end(self) -> None:
        """End everything that was started from this folder: all of it has FLWR_HOME in its environment."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.wait()

    def processes(self) -> list[int]:
        """Find this Flower's processes, those of its local SuperLink and of Ray included."""
        mark = f"FLWR_HOME={self.env['FLWR_HOME']}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
        return found

    def memory(self) -> int:
        """Sum the memory of the processes in bytes; shared pages count once."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError, StopIteration):
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += 1024 * int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])
        return total


@contextmanager
def flower(**more: str) -> Iterator[Flower]:
    """Make a Flower, and end its processes after the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        ports = {key: str(free_port()) for key in ("FLWR_LOCAL_SUPERLINK_HTTP_API_PORT", "FLWR_LOCAL_CONTROL_API_PORT")}
        env = os.environ | ports | {"FLWR_HOME": str(folder / "flwr"), "FEDRETINA_HOME": str(folder / "fedretina")}
        env |= {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "OMP_NUM_THREADS": "1", **more}
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        one = Flower(folder, env)
        try:
            yield one
        finally:
            one.end()


@dataclass
class Watch:
    """Samples a Flower's memory, and ends it if it exceeds the limit."""

    of: Flower
    limit_bytes: float
    samples: list[tuple[float, int]] = field(default_factory=list)
    killed: bool = False
    done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _watch(self) -> None:
        start = time.monotonic()
        while not self.done.wait(0.5):
            self.samples.append((time.monotonic() - start, self.of.memory()))
            if self.samples[-1][1] > self.limit_bytes:
                self.killed = True
                self.of.end()


def sized_run(codec: str, *, nodes: int, megabytes: float, rounds: int, limit_gb: float = 1e9) -> dict[str, Any]:
    """Run the app of a given size in Flower's simulation, with two actors, and watch its memory."""
    with flower() as one, Watch(one, limit_gb * 1e9) as watch:
        out = one.folder / "out.json"
        config = f"codec='{codec}' megabytes={megabytes} rounds={rounds} out='{out}'"
        federation = f"num-supernodes={nodes} client-resources-num-cpus=1"
        output = one.run(SIZED_APP, "--federation-config", federation, config=config)
        result = json.loads(out.read_text()) if out.exists() else {}
    if not result and not watch.killed:
        print(output[-3000:])
    return {"codec": codec, **result, "killed": watch.killed, "finished": bool(result), "samples": watch.samples}
