"""The nodes of a run: which domains each one hosts, and in which role."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from fedretina.errors import BadArgument

Role = Literal["edge", "front-end"]
ROLES: tuple[Role, ...] = ("edge", "front-end")


@dataclass(frozen=True, kw_only=True)
class NodeInfo:
    """A node: the domains that it hosts, and whether it trains ("edge") or only receives models ("front-end")."""

    domains: tuple[str, ...] = ()
    role: Role = "edge"

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise BadArgument(f"a node's role is {self.role!r}; allowed: {', '.join(ROLES)}")


@dataclass
class NodeDirectory:
    """The nodes of a run, by Flower's identifiers.

    Examples
    --------
    >>> nodes = NodeDirectory()
    >>> nodes.register(7, domains=["duke", "market1501"])
    >>> nodes.label(7), nodes.label(8), nodes.host_of("market1501")
    ('duke,market1501', '', 7)
    """

    _nodes: dict[int, NodeInfo] = field(default_factory=dict)

    def register(self, node: int, *, domains: Iterable[str], role: Role = "edge") -> None:
        """Set the domains and the role of a node; they replace those that were set before."""
        self._nodes[node] = NodeInfo(domains=tuple(domains), role=role)

    def label(self, node: int) -> str:
        """Return a node's domains, comma-separated, for the ledger; "" if it is not registered."""
        return ",".join(self._nodes[node].domains) if node in self._nodes else ""

    def domains(self, node: int) -> tuple[str, ...]:
        """Return a node's domains; none if it is not registered."""
        return self._nodes[node].domains if node in self._nodes else ()

    def host_of(self, domain: str) -> int | None:
        """Return the node that hosts a domain, or None."""
        return next((node for node, info in self._nodes.items() if domain in info.domains), None)

    def role_of(self, node: int) -> Role:
        """Return a node's role; "edge" if it is not registered."""
        return self._nodes[node].role if node in self._nodes else "edge"
