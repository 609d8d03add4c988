"""The Flower processes of a city: their command lines, and how they are started, waited for and stopped.

Every command is shown before it runs, so that a reader can type it.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from fedretina.city.folders import CityFolder, NodeFolder
from fedretina.errors import BadArgument, FedRetinaError

CITY_VARIABLE = "FEDRETINA_CITY"
"""The environment variable by which a ServerApp finds the folder of its city."""
START_S = 60.0
STOP_S = 20.0
LINES = 3
"""So many lines of a log are in an error's message."""
_ADMITTED = b"SuperNode ID:"
"""What a SuperNode prints when the server has admitted it."""
Show = Callable[[str], None]


class NotStarted(FedRetinaError):
    """A process ended, or did not answer in time: read its log."""


def superlink_command(city: CityFolder) -> list[str]:
    """Return the command that runs the SuperLink: TLS, node authentication, a database."""
    return [
        *("flower-superlink", "--host", _bind_host(city), "--port", str(city.port)),
        *("--ssl-ca-certfile", str(city.tls / "ca.crt")),
        *("--ssl-certfile", str(city.tls / "server.crt"), "--ssl-keyfile", str(city.tls / "server.key")),
        *("--enable-supernode-auth", "--database", str(city.database)),
    ]


def supernode_command(node: NodeFolder, port: int) -> list[str]:
    """Return the command that runs a node's SuperNode; `port` is for its own processes, on loopback."""
    config = f'domains="{",".join(node.domains)}" role="{node.role}" data="{node.data}" city="{node.path.absolute()}"'
    config += "" if node.share else " share=false"
    return [
        *("flower-supernode", "--superlink", node.address, "--root-certificates", str(node.ca)),
        *("--auth-supernode-private-key", str(node.flower_key), "--host", "127.0.0.1", "--port", str(port)),
        *("--node-config", config),
    ]


def register_command(city: CityFolder, node: str) -> list[str]:
    """Return the command that makes a node's key known to the SuperLink."""
    return ["flwr", "supernode", "register", str(city.nodes / f"{node}.pub"), city.name, "--name", node, "--format", "json"]


def unregister_command(city: CityFolder, flower_id: str) -> list[str]:
    """Return the command after which the SuperLink refuses a node."""
    return ["flwr", "supernode", "unregister", flower_id, city.name, "--format", "json"]


def run(command: Sequence[str], show: Show) -> str:
    """Show a command, run it, and return what it printed.

    Raises
    ------
    NotStarted
        If it fails; the message has what it printed.
    """
    show(shlex.join(command))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotStarted(
            f"`{shlex.join(command)}` failed with exit code {done.returncode}: {(done.stderr or done.stdout).strip()}"
        )
    return done.stdout


def start(folder: CityFolder | NodeFolder, command: Sequence[str], show: Show, environment: Mapping[str, str]) -> None:
    """Show a command and start it apart from this process; its output goes into the folder's log.

    Raises
    ------
    BadArgument
        If the folder's process runs already.
    """
    if is_running(folder):
        raise BadArgument(f"the process of {folder.path} runs already: `fedretina city down {folder.path}` ends it")
    show(shlex.join(command))
    with folder.log.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **environment},
        )
    folder.pid.write_text(str(process.pid))


def wait_until_answers(folder: CityFolder | NodeFolder, host: str, port: int, *, seconds: float = START_S) -> None:
    """Wait until a process listens.

    Raises
    ------
    NotStarted
        If it ends before, or takes longer.
    """
    end = time.monotonic() + seconds
    while not is_open(host, port):
        if not is_running(folder):
            raise NotStarted(f"the process ended: {_last_lines(folder.log)}; the whole log is {folder.log}")
        if time.monotonic() > end:
            raise NotStarted(f"nothing answers at {host}:{port} after {seconds:.0f} s; read {folder.log}")
        time.sleep(0.2)


def wait_until_admitted(node: NodeFolder, begin: int, *, seconds: float = START_S) -> None:
    """Wait until a SuperNode's log, from byte `begin` on, says that the server admitted the node.

    Raises
    ------
    NotStarted
        If the process ends before, or the server does not answer it in time.
    """
    end = time.monotonic() + seconds
    while _ADMITTED not in node.log.read_bytes()[begin:]:
        if not is_running(node):
            names = ", ".join(node.domains)
            raise NotStarted(
                f"the server refused the node: {_first_error(node.log, begin)}; the whole log is {node.log}. "
                f"Ask the server's operator whether `fedretina city status` lists {names}: it may be revoked"
            )
        if time.monotonic() > end:
            raise NotStarted(f"the server did not admit the node in {seconds:.0f} s; `fedretina city doctor` may say why")
        time.sleep(0.2)


def was_admitted(node: NodeFolder) -> bool:
    """Return whether the server admitted the node in one of the lives that its log tells of."""
    return node.log.exists() and _ADMITTED in node.log.read_bytes()


def stop(folder: CityFolder | NodeFolder) -> bool:
    """End the folder's process and its children; return whether it ran."""
    if not is_running(folder):
        folder.pid.unlink(missing_ok=True)
        return False
    pid = int(folder.pid.read_text())
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(pid, sent)
        end = time.monotonic() + STOP_S
        while is_running(folder) and time.monotonic() < end:
            time.sleep(0.1)
    folder.pid.unlink(missing_ok=True)
    return True


def is_running(folder: CityFolder | NodeFolder) -> bool:
    """Return whether the process that `start` started still runs."""
    try:
        pid = int(folder.pid.read_text())
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # where it is our own child, an ended one stays until somebody asks
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return False
    just_started = not command  # a process has no command line yet for a moment after it was started
    return state != "Z" and (just_started or b"flower-super" in command)


def is_open(host: str, port: int) -> bool:
    """Return whether something listens at an address."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number


def _bind_host(city: CityFolder) -> str:
    """Loopback cities listen on loopback only; others on all interfaces, since a certificate's name may be any of them."""
    return "127.0.0.1" if city.hosts[0] in {"127.0.0.1", "localhost"} else "0.0.0.0"


def _last_lines(log: Path) -> str:
    return " / ".join(_lines(log.read_bytes())[-LINES:])


def _first_error(log: Path, begin: int) -> str:
    """Return some lines of a log, from the first one after byte `begin` that tells of an error."""
    lines = _lines(log.read_bytes()[begin:])
    first = next((number for number, line in enumerate(lines) if "ERROR" in line or "Exit Code" in line), 0)
    return " / ".join(lines[first : first + LINES])


def _lines(data: bytes) -> list[str]:
    """Split what a process printed into lines, without the colours of a terminal."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", data.decode(errors="replace"))
    return [" ".join(line.split()) for line in plain.strip().splitlines()]
