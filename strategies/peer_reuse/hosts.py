"""The nodes of a run: the assignment of domains to them, and the front ends, which only receive models."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedretina.errors import BadArgument
from fedretina.strategies.peer_reuse.replies import failure_of, good_replies

_log = logging.getLogger("fedretina.strategies")


@dataclass(frozen=True)
class Hosts:
    """Who does what in a run.

    Parameters
    ----------
    domains : mapping of str to int
        The node of each domain of the run.
    front_ends : mapping of int to tuple of str, default none
        By node that only receives models: the domains that it speaks for.
    """

    domains: Mapping[str, int]
    front_ends: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Answer:
    """What a node says of itself."""

    domains: tuple[str, ...]
    is_front_end: bool


def find_hosts(grid: Grid, domains: Sequence[str], *, seconds: float) -> Hosts:
    """Ask the nodes which domains they host and in which role, and assign each domain to one that trains.

    A node that was killed needs a minute to come back. Flower lists it at first, then no longer, then again. So while a
    domain has no node, every node that was listed once and does not answer is waited for.

    Parameters
    ----------
    grid : Grid
        The run's grid.
    domains : sequence of str
        The domains of the run, targets first.
    seconds : float
        How long to wait for nodes.

    Returns
    -------
    Hosts
        The node of each domain, and the front ends that answer.

    Raises
    ------
    BadArgument
        If no node connects, or no node hosts a domain.
    FedRetinaError
        If the app of a node fails.
    """
    deadline, listed = time.monotonic() + seconds, set[int]()
    while True:
        nodes = _connected(grid, deadline, seconds)
        answers = _ask(grid, nodes, seconds)
        listed.update(nodes)
        hosted = {node: answer.domains for node, answer in answers.items() if not answer.is_front_end}
        front_ends = {node: answer.domains for node, answer in answers.items() if answer.is_front_end}
        try:
            return Hosts(assign_hosts(domains, hosted), front_ends)
        except BadArgument as error:
            silent = ", ".join(str(node) for node in sorted(listed) if node not in answers)
            if not silent:
                raise
            if time.monotonic() > deadline:
                raise BadArgument(
                    f"{error}, or give the nodes {silent} more time: they did not answer within {seconds:.0f} s, as may "
                    f"happen on a busy machine"
                ) from error
        _log.warning("the nodes %s do not answer, and a domain has no node: waiting for them", silent)
        time.sleep(1)


def _connected(grid: Grid, deadline: float, seconds: float) -> list[int]:
    while not (nodes := sorted(grid.get_node_ids())) and time.monotonic() < deadline:
        time.sleep(0.2)
    if not nodes:
        raise BadArgument(
            f"no node connected in {seconds:.0f} s: start nodes, or set the simulation's num-supernodes to 1 or more"
        )
    return nodes


def _ask(grid: Grid, nodes: Collection[int], seconds: float) -> dict[int, _Answer]:
    """Return what each node that answers says, in the order of their indices."""
    asked = [Message(RecordDict(), dst_node_id=node, message_type="query.domains") for node in nodes]
    replies = list(grid.send_and_receive(asked, timeout=seconds))
    # The SuperLink answers for nodes that are gone, with an identifier of its own.
    answers = good_replies(reply for reply in replies if failure_of(reply) is None or reply.metadata.src_node_id in nodes)
    found = {reply.metadata.src_node_id: reply.content.config_records["hosts"] for reply in answers}
    order = sorted(found, key=lambda node: (int(str(found[node]["order"])), node))
    return {node: _read_answer(found[node]) for node in order}


def _read_answer(record: ConfigRecord) -> _Answer:
    names = tuple(name for name in str(record["domains"]).split(",") if name)
    return _Answer(names, str(record["role"]) == "front-end")


def assign_hosts(domains: Sequence[str], hosted: Mapping[int, Sequence[str]]) -> dict[str, int]:
    """Assign each domain to a node: to one that hosts it, or else to one that hosts any domain.

    Parameters
    ----------
    domains : sequence of str
        The domains of the run, targets first.
    hosted : mapping of int to sequence of str
        By node, in order: the domains that it hosts; empty if it hosts any, as in a simulation.

    Returns
    -------
    dict of str to int
        The node of each domain.

    Raises
    ------
    BadArgument
        If no node hosts a domain.

    Examples
    --------
    >>> assign_hosts(["duke", "cuhk03", "msmt17"], {7: [], 9: []})
    {'duke': 7, 'cuhk03': 9, 'msmt17': 7}
    >>> assign_hosts(["duke", "cuhk03"], {7: ["cuhk03"], 9: ["duke"]})
    {'duke': 9, 'cuhk03': 7}
    """
    fixed = {domain: node for node, names in hosted.items() for domain in names}
    free = [node for node, names in hosted.items() if not names]
    rest = [domain for domain in domains if domain not in fixed]
    if rest and not free:
        hosting = ", ".join(fixed) or "nothing"
        raise BadArgument(f"no node hosts {', '.join(rest)}: the nodes host {hosting}; start a node that hosts them")
    assigned = {domain: free[i % len(free)] for i, domain in enumerate(rest)}
    return {domain: fixed.get(domain, assigned.get(domain, -1)) for domain in domains}
