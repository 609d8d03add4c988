"""What the server's operator does: make a city, bring it up, approve requests, revoke domains."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from fedretina import atomic
from fedretina.city import processes
from fedretina.city.certificates import make_authority, make_server_certificate
from fedretina.city.connection import write_connection
from fedretina.city.enrolment import ROOT_LIFETIME_S, Request, admit, make_join_file, next_root
from fedretina.city.folders import CityFolder, check_name, make_private
from fedretina.city.processes import Show
from fedretina.city.renewal import renew
from fedretina.city.status import approved_nodes
from fedretina.errors import BadArgument
from fedretina.trust import SERVER, Algorithm, CityRoot, Identity, Role, Signed, SigningKey, fingerprint, merge_keys

DEFAULT_PORT = 9093


def create(
    path: Path,
    name: str,
    hosts: Sequence[str],
    port: int = DEFAULT_PORT,
    *,
    root_keys: int = 1,
    threshold: int = 1,
    post_quantum: bool = False,
) -> CityFolder:
    """Make a city's folder: certificates, keys, the first city root, and the connection for ``flwr run``.

    Parameters
    ----------
    path : Path
        The folder; it must not hold a city yet.
    name : str
        The city's name.
    hosts : sequence of str
        Every name and address by which nodes may reach the server; they use the first.
    port : int, default 9093
        The SuperLink's port.
    root_keys, threshold : int, default 1
        How many root keys are made, and how many of them must sign a root.
    post_quantum : bool, default False
        Whether the root's and the server's keys sign by ML-DSA-65 instead of Ed25519.

    Raises
    ------
    BadArgument
        If the folder holds a city, or a value is not allowed.
    """
    check_name(name, "city")
    if (path / CityFolder.FILE).exists():
        raise BadArgument(f"{path} holds a city already: name another folder, or remove it if the city is no longer wanted")
    if not hosts or not 1 <= threshold <= root_keys:
        raise BadArgument(
            f"{len(hosts)} addresses, {threshold} of {root_keys} root keys: give an address, and 1 <= threshold <= keys"
        )
    city = CityFolder(path.absolute(), name, list(hosts), port, threshold)
    for folder in (path, city.keys, city.tls, city.nodes):
        make_private(folder)
    make_authority(city.tls, name)
    make_server_certificate(city.tls, name, hosts)
    algorithm: Algorithm = "ml-dsa-65" if post_quantum else "ed25519"
    roots, server = [SigningKey.generate(algorithm) for _ in range(root_keys)], SigningKey.generate(algorithm)
    for number, key in enumerate(roots, 1):
        key.save(city.keys / f"root-{number}.pem")
    server.save(city.identity.signing_key("server"))
    root = CityRoot(
        city=name,
        version=1,
        expires=int(time.time()) + ROOT_LIFETIME_S,
        keys=merge_keys([*(key.public for key in roots), server.public]),
        root=Role(tuple(key.public.id for key in roots), threshold),
        server=Role((server.public.id,)),
        domains={},
    )
    city.identity.add_root(root.version, root.sign(roots).to_bytes())
    city.save()
    write_connection(city)
    return city


def server_identity() -> Identity | None:
    """Return the identity of the city whose SuperLink runs this ServerApp (``$FEDRETINA_CITY``); None outside of a city.

    Raises
    ------
    BadArgument
        If the variable names a folder that holds no city.
    """
    folder = os.environ.get(processes.CITY_VARIABLE, "")
    return Identity(CityFolder.load(Path(folder)).path, [SERVER]) if folder else None


def first_fingerprint(city: CityFolder) -> str:
    """Return what is read aloud to everyone who joins: the fingerprint of the first root."""
    return fingerprint(Signed.from_bytes(city.identity.signed_roots()[0]).body)


def up(city: CityFolder, show: Show) -> None:
    """Start the SuperLink, and wait until it answers.

    The connection of ``flwr run`` is renewed: the folder may have moved. So are a root and a certificate that end soon.

    Raises
    ------
    NotStarted
        If it does not answer.
    BadArgument
        If it runs already, or something else has its port.
    """
    if not processes.is_running(city) and processes.is_open("127.0.0.1", city.port):
        raise BadArgument(
            f"port {city.port} is taken by another process, perhaps an older SuperLink: end it, or change city.json"
        )
    renew(city, show)
    processes.start(city, processes.superlink_command(city), show, {processes.CITY_VARIABLE: str(city.path.absolute())})
    processes.wait_until_answers(city, "127.0.0.1", city.port)
    write_connection(city)


def approve(city: CityFolder, data: bytes, show: Show) -> tuple[Request, bytes]:
    """Admit a request's domains to the city root, register its node with the SuperLink, and return the join file.

    Raises
    ------
    UnknownSigner, Forged, Corrupt
        If the request was edited or is none.
    BadArgument
        If a domain is listed with another key.
    NotStarted
        If the SuperLink refuses the node, or does not answer.
    """
    request = Request.read(data)
    admit(city, request)
    public = city.nodes / f"{request.name}.pub"
    known = public.exists() and public.read_text(encoding="utf-8").strip() == request.flower
    if not known:
        atomic.write_text(public, request.flower + "\n")
        try:
            printed = processes.run(processes.register_command(city, request.name), show)
        except processes.NotStarted:
            public.unlink()
            raise
        description = {"domains": sorted(request.domains), "role": request.role, "flower_id": _flower_id(printed)}
        atomic.write_text(city.nodes / f"{request.name}.json", json.dumps(description) + "\n")
    return request, make_join_file(city, request)


def revoke(city: CityFolder, domain: str, show: Show) -> CityRoot:
    """Sign a root without a domain: nobody who has it takes that domain's models any more.

    A node whose last domain goes is unregistered too: the SuperLink refuses it from then on.

    Raises
    ------
    BadArgument
        If the city does not list the domain.
    NotStarted
        If the SuperLink does not answer. The root is signed then; bring the city up, and revoke again.
    """
    root = city.identity.root()
    nodes = {name: node for name, node in approved_nodes(city).items() if domain in node["domains"] and node["flower_id"]}
    if domain in root.domains:
        root = next_root(city, {name: kept for name, kept in root.domains.items() if name != domain})
    elif not nodes:
        raise BadArgument(f"the city lists no domain {domain!r}; it lists {', '.join(root.domains) or 'none'}")
    for name, node in nodes.items():
        if not root.domains.keys() & set(node["domains"]):
            processes.run(processes.unregister_command(city, node["flower_id"]), show)
            for file in (city.nodes / f"{name}.pub", city.nodes / f"{name}.json"):
                file.unlink(missing_ok=True)
    return root


def _flower_id(printed: str) -> str:
    """Return the node's identifier from what `flwr supernode register` printed; empty if it printed none."""
    try:
        return str(json.loads(printed[printed.index("{") :]).get("node-id", ""))
    except ValueError:
        return ""
