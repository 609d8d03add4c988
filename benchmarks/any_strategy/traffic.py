"""Compare the ledger's bytes with those that a SuperLink counts, in a deployment on this machine, over TLS."""

import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from any_strategy.flower import SIZED_APP, Flower, flower, free_port
from any_strategy.inprocess import APP
from any_strategy.tables import Found
from fedretina.ledger import read, totals
from fedretina.study import table as table_of

NODES, ROUNDS = 2, 3
CODECS = {"none": "as it is", "dom": "DoM"}


@dataclass(frozen=True)
class Case:
    """An app to run.

    Parameters
    ----------
    app : Path
        Its folder.
    config : str
        Its configuration, without codec and rounds.
    ledger : callable
        Reads the ledger's bytes and number of errors from the app's output.
    """

    app: Path
    config: str
    ledger: Callable[[Path], Found]


def _read_summary(out: Path) -> Found:
    found = json.loads(out.read_text())
    return {"wire": found["wire"], "errors": found["errors"]}


def _read_ledger(out: Path) -> Found:
    rows = read(out / "ledger.jsonl")
    return {"wire": totals(rows).wire, "errors": sum(bool(row.error) for row in rows)}


CASES = {
    "digits, 0.4 MB": Case(APP, "", _read_ledger),
    "10 MB": Case(SIZED_APP, "megabytes=10.0", _read_summary),
    "10 MB, push only": Case(SIZED_APP, "megabytes=10.0 pull=false", _read_summary),
}


def certificates(folder: Path) -> None:
    """Make an authority and a server's certificate for 127.0.0.1."""
    (folder / "san.cnf").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for words in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=authority",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile san.cnf",
    ):
        subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)


def deploy(one: Flower, nodes: int) -> None:
    """Start a SuperLink and SuperNodes, and write the connection "prod" for them."""
    certificates(one.folder)
    ca = one.folder / "ca.crt"
    port = free_port()
    home = Path(one.env["FLWR_HOME"])
    home.mkdir()
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "prod"\n\n[superlink.prod]\naddress = "127.0.0.1:{port}"\nroot-certificates = "{ca}"\n'
    )
    tls = ["--ssl-ca-certfile", str(ca), "--ssl-certfile", str(one.folder / "server.pem")]
    tls += ["--ssl-keyfile", str(one.folder / "server.key")]
    one.start("flower-superlink", "--host", "127.0.0.1", "--port", str(port), *tls)
    _wait_for(port)
    for index in range(nodes):
        own = ["--host", "127.0.0.1", "--port", str(free_port())]
        config = f"partition-id={index} num-partitions={nodes}"
        link = ["--superlink", f"127.0.0.1:{port}", "--root-certificates", str(ca)]
        one.start("flower-supernode", *link, *own, "--node-config", config)


def measure() -> Found:
    """Run every case with both codecs; give the ledger's sums and the SuperLink's."""
    found: Found = {"nodes": NODES, "rounds": ROUNDS}
    with flower() as one:
        deploy(one, NODES)
        for name, case in CASES.items():
            found[name] = {codec: _run(one, case, codec) for codec in CODECS}
            print(name, found[name], flush=True)
    return found


def _run(one: Flower, case: Case, codec: str) -> Found:
    out = one.folder / f"{case.app.name}-{codec}-{len(case.config)}"
    output = one.run(case.app, "prod", config=f"codec='{codec}' rounds={ROUNDS} out='{out}' {case.config}".strip())
    if not out.exists():
        raise SystemExit(output[-3000:])
    time.sleep(3)
    listed = subprocess.run(
        ["flwr", "ls", "prod", "--format", "json"], env=one.env, capture_output=True, text=True, check=True
    )
    newest = json.loads(listed.stdout)["runs"][0]
    return case.ledger(out) | {"counted": int(newest["network-traffic"]["total-bytes"])}


def text(found: Found) -> str:
    """Write the table, and explain what is counted."""
    rows = []
    for name in CASES:
        for codec, label in CODECS.items():
            one = found[name][codec]
            difference = f"{100 * (one['counted'] / one['wire'] - 1):+.2f} %"
            rows.append([f"{name}, {label}", f"{one['wire']:,} B", f"{one['counted']:,} B", difference])
    return f"""A SuperLink and {found["nodes"]} SuperNodes over TLS, {found["rounds"]} rounds. The ledger's sum stands beside
`network-traffic` of `flwr ls`, which counts what SuperLink and SuperNodes exchange for messages: every object of a
message serialised, and the calls that announce it, `PullMessages` and `PushMessages`, with metadata and the names of the
objects. It does not count what the ServerApp exchanges with the SuperLink, heartbeats, polls that find nothing, the app
itself, nor TLS and HTTP.

{table_of(["", "the ledger", "the SuperLink", "difference"], rows)}"""


def _wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise SystemExit(f"no SuperLink answers on port {port}")
