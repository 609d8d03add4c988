"""What the operator of an edge machine does: join, start, and a whole city on loopback for a first look."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fedretina.city import processes, server
from fedretina.city.enrolment import Invitation, make_request
from fedretina.city.folders import CityFolder, NodeFolder
from fedretina.city.processes import NotStarted, Show
from fedretina.errors import BadArgument

ONLINE_S = 60.0
"""For so long after a SuperNode was killed the server counts it as online, and refuses its next life."""
RETRY_S = 10.0


def join(node: NodeFolder, data: bytes, confirm: Callable[[str], str]) -> NodeFolder:
    """Read a join file, compare fingerprints, and pin the city root.

    Parameters
    ----------
    node : NodeFolder
        The node that asked.
    data : bytes
        The join file.
    confirm : callable
        Gets the fingerprint in the file and returns the one that the operator names.

    Raises
    ------
    Forged, UnknownSigner, Replayed, Corrupt
        If the file was edited, belongs to another node, or the fingerprints differ.
    """
    invitation = Invitation.read(data)
    return invitation.accept(node, confirm(invitation.fingerprint))


def start(node: NodeFolder, show: Show) -> None:
    """Start the node's SuperNode, and wait until the server has admitted it.

    For a minute the server refuses a node whose last life was killed. Then this tries again until that time has passed.

    Raises
    ------
    BadArgument
        If the node has not joined, or runs already.
    NotStarted
        If it ends at once, or the server refuses it.
    """
    node.require_joined()
    end = time.monotonic() + (ONLINE_S + 2 * RETRY_S if was_killed(node) else 0)
    while True:
        try:
            _start_once(node, show)
            return
        except NotStarted:
            if time.monotonic() > end:
                raise
        show(
            f"# refused: for a minute the server counts the last life of {node.name} as online; next try in {RETRY_S:.0f} s"
        )
        time.sleep(RETRY_S)


def was_killed(node: NodeFolder) -> bool:
    """Return whether the node's SuperNode was admitted once, and ended without `stop`: by a kill, a fault or a power cut."""
    return not processes.is_running(node) and node.pid.exists() and processes.was_admitted(node)


def _start_once(node: NodeFolder, show: Show) -> None:
    port, begin = processes.free_port(), node.log.stat().st_size if node.log.exists() else 0
    processes.start(node, processes.supernode_command(node, port), show, {})
    processes.wait_until_answers(node, "127.0.0.1", port)
    processes.wait_until_admitted(node, begin)


def local_nodes(city: CityFolder) -> list[NodeFolder]:
    """Return the nodes whose folders lie in the city's own, as `start_local` makes them."""
    return [NodeFolder.load(path.parent) for path in sorted((city.path / "local").glob(f"*/{NodeFolder.FILE}"))]


def start_local(city: CityFolder, domains: Sequence[str], data: Path | None, show: Show) -> list[NodeFolder]:
    """Enrol and start a node for each domain on this machine: the same files, keys and checks as between machines.

    Raises
    ------
    BadArgument
        If the city is not on loopback.
    """
    if city.hosts[0] != "127.0.0.1":
        raise BadArgument(
            f"the city {city.name} has the address {city.address}; make a local one: `fedretina city init DIR --local`"
        )
    nodes = []
    for domain in domains:
        folder = city.path / "local" / domain
        if not (folder / NodeFolder.FILE).exists():
            make_request(folder, [domain], role="edge", data=data)
        node = NodeFolder.load(folder)
        if not node.address:
            _, answer = server.approve(city, node.request.read_bytes(), show)
            node = join(node, answer, lambda _: server.first_fingerprint(city))
        if not processes.is_running(node):
            start(node, show)
        nodes.append(node)
    return nodes
