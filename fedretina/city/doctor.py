"""What usually is wrong with a machine before its first round. Each finding says what, where, and what to do."""

import os
import shutil
import socket
import ssl
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib import metadata
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from fedretina.city.edge import was_killed
from fedretina.city.folders import NodeFolder, package_versions
from fedretina.city.processes import is_open, is_running

MIN_DISK_BYTES = 2 << 30
MAX_CLOCK_S = 60


@dataclass(frozen=True)
class Finding:
    """A line of the doctor's.

    Parameters
    ----------
    level : {"ok", "warning", "error"}
        An error stops the first round for certain.
    what : str
        What was found, where.
    remedy : str
        What to do; empty if all is well.
    """

    level: Literal["ok", "warning", "error"]
    what: str
    remedy: str = ""


def examine(node: NodeFolder) -> list[Finding]:
    """Look at a node's machine: name, port, certificate, clock, data, disk, keys, packages."""
    checks: list[Callable[[NodeFolder], Iterator[Finding]]] = [_keys, _disk, _packages]
    checks += [_data] if node.data else []
    checks += [_name, _server] if node.address else [_membership]
    return [finding for check in checks for finding in check(node)]


def _keys(node: NodeFolder) -> Iterator[Finding]:
    names = [node.flower_key, *(f(d) for d in node.domains for f in (node.identity.signing_key, node.identity.sealing_key))]
    missing = [path for path in names if not path.exists()]
    if missing:
        yield Finding("error", f"the key file {missing[0]} is missing", "restore it from a backup, or make a new request")
    for path in names:
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding("error", f"others can read the key file {path}", f"chmod 600 {path}")
    if not missing:
        yield Finding("ok", f"{len(names)} key files in {node.keys}")


def _data(node: NodeFolder) -> Iterator[Finding]:
    folder = Path(node.data)
    if not folder.is_dir():
        yield Finding(
            "error", f"the data folder {folder} does not exist", f"make it, or change `data` in {node.path / node.FILE}"
        )
    elif not os.access(folder, os.R_OK | os.X_OK):
        yield Finding("error", f"the data folder {folder} cannot be read", "give the node's user the right to read it")
    elif not any(folder.iterdir()):
        yield Finding("error", f"the data folder {folder} is empty", "put the domain's data there")
    else:
        yield Finding("ok", f"data in {folder}")


def _disk(node: NodeFolder) -> Iterator[Finding]:
    free = shutil.disk_usage(node.path).free
    if free < MIN_DISK_BYTES:
        yield Finding(
            "error", f"{free / 2**30:.1f} GiB are free at {node.path}", "make room: at least 2 GiB are needed for models"
        )
    else:
        yield Finding("ok", f"{free / 2**30:.0f} GiB are free at {node.path}")


def _membership(node: NodeFolder) -> Iterator[Finding]:
    yield Finding("error", f"{node.path} has not joined a city", "fedretina city join FILE.join, with the operator's answer")


def _name(node: NodeFolder) -> Iterator[Finding]:
    host, _ = split_address(node.address)
    if _is_address(host):
        yield Finding("ok", f"the server's address is {host}")
        return
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        yield Finding(
            "error", f"the server's name {host} cannot be resolved", "add it to DNS or /etc/hosts, or use its address"
        )
        return
    addresses = ", ".join(sorted(found))
    if host != "localhost" and all(ip_address(address).is_loopback for address in found):
        yield Finding(
            "warning",
            f"the server's name {host} leads to this machine itself ({addresses})",
            "if the server is another machine, correct /etc/hosts or DNS",
        )
    else:
        yield Finding("ok", f"the server's name {host} leads to {addresses}")


def _server(node: NodeFolder) -> Iterator[Finding]:
    host, port = split_address(node.address)
    if not is_open(host, port):
        yield Finding(
            "error",
            f"nothing answers at {host}:{port}",
            "bring the city up (`fedretina city up`), and open the port in firewalls",
        )
        return
    try:
        date = _ask_date(node, host, port)
    except ssl.SSLCertVerificationError as error:
        yield Finding(
            "error",
            f"the certificate of {host}:{port} does not fit: {error.verify_message}",
            "use an address that `city init --address` named, or end an older SuperLink there",
        )
        return
    except OSError as error:
        yield Finding(
            "error", f"{host}:{port} speaks no TLS ({error})", "another program has the port: end it, or correct the address"
        )
        return
    yield Finding("ok", f"{host}:{port} answers with the city's certificate")
    yield from _clock(date)


def _clock(date: str) -> Iterator[Finding]:
    if not date:
        return
    apart = time.time() - parsedate_to_datetime(date).timestamp()
    if abs(apart) > MAX_CLOCK_S:
        yield Finding("error", f"this clock is {apart:+.0f} s off the server's", "set it by NTP: `timedatectl set-ntp true`")
    else:
        yield Finding("ok", "the clock agrees with the server's")


def _ask_date(node: NodeFolder, host: str, port: int) -> str:
    """Return the HTTP date of the server's answer; empty if it gives none."""
    context = ssl.create_default_context(cafile=str(node.ca))
    with socket.create_connection((host, port), timeout=5) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
        tls.sendall(f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = tls.recv(4096).decode("latin-1")
    dates = [line.partition(":")[2].strip() for line in answer.splitlines() if line.lower().startswith("date:")]
    return dates[0] if dates else ""


def _packages(node: NodeFolder) -> Iterator[Finding]:
    own = package_versions()
    others = {name: version for name, version in node.packages.items() if version != own.get(name)}
    if others:
        yield Finding(
            "warning",
            f"this machine has {_listed({name: own.get(name, 'none') for name in others})}; "
            f"when the city's server approved it, that had {_listed(others)}",
            "install the same releases on both, then ask for a new .join file and join again",
        )
    yield Finding("ok", _listed({**own, "torch": metadata.version("torch")}))
    if is_running(node):
        yield Finding("ok", f"the SuperNode of {node.path} runs")
    elif was_killed(node):
        yield Finding(
            "warning",
            f"the SuperNode of {node.path} was killed, or ended by a fault: {node.log} may say why",
            "`fedretina city up`; for a minute after its end the server counts it as online, and the command waits for that",
        )


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def split_address(address: str) -> tuple[str, int]:
    """Split HOST:PORT.

    Examples
    --------
    >>> split_address("retina.example:9093"), split_address("[::1]:80")
    (('retina.example', 9093), ('::1', 80))
    """
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
