"""The ledger's bytes beside what a SuperLink counts: a deployment on this machine, over TLS."""

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from flower import SIZED_APP, Flower, flower, free_port

NODES, ROUNDS, MEGABYTES = 2, 3, 10.0


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
    for place in range(nodes):
        own = ["--host", "127.0.0.1", "--port", str(free_port())]
        config = f"partition-id={place} num-partitions={nodes}"
        link = ["--superlink", f"127.0.0.1:{port}", "--root-certificates", str(ca)]
        one.start("flower-supernode", *link, *own, "--node-config", config)


def measure() -> dict[str, Any]:
    """Run both codecs; give the ledger's sums and the SuperLink's."""
    found: dict[str, Any] = {"nodes": NODES, "rounds": ROUNDS, "megabytes": MEGABYTES}
    with flower() as one:
        deploy(one, NODES)
        for codec in ("dom", "none"):
            out = one.folder / f"{codec}.json"
            told = one.run(SIZED_APP, "prod", config=f"codec='{codec}' megabytes={MEGABYTES} rounds={ROUNDS} out='{out}'")
            if not out.exists():
                raise SystemExit(told[-3000:])
            time.sleep(3)
            listed = subprocess.run(
                ["flwr", "ls", "prod", "--format", "json"], env=one.env, capture_output=True, text=True, check=True
            )
            newest = json.loads(listed.stdout)["runs"][0]
            found[codec] = json.loads(out.read_text()) | {"listed": newest}
            print(codec, found[codec], flush=True)
    return found


def counted(run: dict[str, Any]) -> int:
    """Give what the SuperLink counted, both ways."""
    return int(run["listed"]["network-traffic"]["total-bytes"])


def table(found: dict[str, Any]) -> list[str]:
    """Write the table."""
    lines = ["| | the ledger | the SuperLink | difference |", "|---|---|---|---|"]
    for codec, name in (("none", "as it is"), ("dom", "DoM")):
        run = found[codec]
        there = counted(run)
        lines.append(f"| {name} | {run['wire']:,} B | {there:,} B | {100 * (there / run['wire'] - 1):+.2f} % |")
    return lines


def _wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise SystemExit(f"no SuperLink answers on port {port}")
