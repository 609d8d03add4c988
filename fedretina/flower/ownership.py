"""Who may publish into a stream."""

from collections.abc import Mapping
from typing import Protocol

from fedretina.errors import Untrusted


class Ownership(Protocol):
    """Decides who may publish into a stream."""

    def check(self, stream: str, node: int) -> None:
        """Raise `Untrusted` if the node may not publish into the stream."""

    def owns(self, stream: str) -> bool:
        """Return whether a node publishes into the stream; if none does, the stream is the server's own."""

    def owners(self) -> dict[str, int]:
        """Return a copy: by stream, the node that owns it."""

    def restore(self, owners: Mapping[str, int]) -> None:
        """Set the owners, by stream; they replace those known before."""


class FirstPublisherOwns:
    """The node that publishes first into a stream owns it; all others are refused.

    Examples
    --------
    >>> ownership = FirstPublisherOwns()
    >>> ownership.check("duke", 7)
    >>> ownership.check("duke", 8)
    Traceback (most recent call last):
    fedretina.errors.Untrusted: node 8 published into stream 'duke', which node 7 owns: refused; give each domain one node
    """

    def __init__(self) -> None:
        self._owners: dict[str, int] = {}

    def check(self, stream: str, node: int) -> None:
        """Raise `Untrusted` if another node owns the stream; if none does, the node owns it from now on."""
        owner = self._owners.setdefault(stream, node)
        if owner != node:
            raise Untrusted(
                f"node {node} published into stream {stream!r}, which node {owner} owns: refused; give each domain one node"
            )

    def owns(self, stream: str) -> bool:
        """Return whether a node owns the stream."""
        return stream in self._owners

    def owners(self) -> dict[str, int]:
        """Return a copy: by stream, the node that owns it."""
        return dict(self._owners)

    def restore(self, owners: Mapping[str, int]) -> None:
        """Set the owners, by stream; they replace those known before."""
        self._owners = dict(owners)
