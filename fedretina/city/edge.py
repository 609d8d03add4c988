"""What the operator of an edge machine does: join, start, and a whole city on loopback for a first look."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fedretina.city import processes, server
from fedretina.city.enrolment import Invitation, make_request
from fedretina.city.folders import CityFolder, NodeFolder
from fedretina.city.processes import Show
from fedretina.errors import BadArgument


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
    """Start the node's SuperNode.

    Raises
    ------
    BadArgument
        If the node has not joined, or runs already.
    NotStarted
        If it ends at once.
    """
    if not node.address:
        raise BadArgument(f"{node.path} has not joined a city: `fedretina city join FILE.join {node.path}` first")
    port = processes.free_port()
    processes.start(node, processes.supernode_command(node, port), show, {})
    processes.wait_until_answers(node, "127.0.0.1", port)


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
