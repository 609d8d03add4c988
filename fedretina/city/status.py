"""How a city is: each node, what it holds and how far it is behind, when it last reported, and what it refused."""

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fedretina.city import processes
from fedretina.city.folders import CityFolder
from fedretina.city.processes import NotStarted, Show
from fedretina.errors import BadArgument
from fedretina.trust import Acknowledgement, DailyTraffic, TrustMemory, read_reports

UNKNOWN = "unknown"


@dataclass(frozen=True)
class NodeStatus:
    """One row of ``fedretina city status``.

    Parameters
    ----------
    node : str
        The node's name.
    domains : tuple of str
        The domains that it hosts and the city root lists.
    role : str
        "edge" or "front-end".
    connection : str
        What Flower says: "online", "offline", "registered", or "unknown" while the SuperLink does not answer.
    version : int
        The newest version that its first domain published; 0 before the first.
    behind : int
        How many versions it lacks of the stream that it is furthest behind in, of those that it holds.
    last_report_s : float or None
        Seconds since its last signed report; None before the first.
    bytes_today : int
        The bytes of its messages since midnight, both ways, in all runs.
    release : str
        What it runs: packages and their versions.
    attacks : mapping of str to int
        What it refused, by name.
    """

    node: str
    domains: tuple[str, ...]
    role: str
    connection: str
    version: int
    behind: int
    last_report_s: float | None
    bytes_today: int
    release: str
    attacks: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Known:
    """What is known of all nodes: reports by domain, newest counters by stream, listed domains, connections, today."""

    reports: Mapping[str, Acknowledgement]
    newest: Mapping[str, int]
    listed: Collection[str]
    connections: Mapping[str, str]
    traffic: Mapping[str, int]


def node_statuses(city: CityFolder, show: Show) -> list[NodeStatus]:
    """Return the status of every approved node.

    Raises
    ------
    BadArgument
        If a file of the city's folder is damaged.
    """
    newest = {stream: counter for stream, (counter, _) in TrustMemory(city.path / "memory.json").versions.items()}
    known = _Known(
        read_reports(city.path),
        newest,
        city.identity.root().domains,
        _connections(city, show),
        DailyTraffic(city.path).today(),
    )
    return [_status_of(name, entry, known) for name, entry in sorted(approved_nodes(city).items())]


def _status_of(name: str, entry: Mapping[str, Any], known: _Known) -> NodeStatus:
    reports, newest, listed = known.reports, known.newest, known.listed
    domains = tuple(domain for domain in entry["domains"] if domain in listed)
    report = next((reports[domain] for domain in entry["domains"] if domain in reports), None)
    held = report.held if report is not None else {}
    behind = [newest.get(stream, counter) - counter for stream, (counter, _) in held.items()]
    published = [counter for stream, counter in newest.items() if stream.partition("/")[0] in domains]
    return NodeStatus(
        node=name,
        domains=domains,
        role=entry["role"],
        connection=known.connections.get(entry["flower_id"], UNKNOWN),
        version=max(published, default=0),
        behind=max(behind, default=0),
        last_report_s=None if report is None else max(0.0, time.time() - report.created),
        bytes_today=sum(count for label, count in known.traffic.items() if set(label.split(",")) & set(entry["domains"])),
        release=report.release if report is not None else "",
        attacks=dict(report.attacks) if report is not None else {},
    )


def approved_nodes(city: CityFolder) -> dict[str, dict[str, Any]]:
    """Return domains, role and Flower's identifier of each approved node, by name; `BadArgument` if a file is damaged."""
    found = {}
    for path in city.nodes.glob("*.json"):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            found[path.stem] = {"domains": [str(name) for name in entry["domains"]], "role": str(entry["role"])}
            found[path.stem]["flower_id"] = str(entry.get("flower_id", ""))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadArgument(f"{path} cannot be read ({error}): approve the node's request again") from error
    return found


def _connections(city: CityFolder, show: Show) -> dict[str, str]:
    """Return what Flower says of each node; nothing while the SuperLink does not answer."""
    if not processes.is_running(city):
        return {}
    try:
        listed = json.loads(processes.run(["flwr", "supernode", "list", city.name, "--format", "json"], show))
    except (NotStarted, ValueError):
        return {}
    return {str(node.get("node-id", "")): str(node.get("status", UNKNOWN)) for node in listed.get("nodes", [])}
