"""Which version of each stream every node holds, as the node itself reported."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Acknowledgements:
    """The versions that each node has reported.

    Examples
    --------
    >>> acknowledgements = Acknowledgements()
    >>> acknowledgements.add(7, {"arrays": "ab12"})
    >>> acknowledgements.version(7, "arrays"), acknowledgements.version(8, "arrays")
    ('ab12', None)
    """

    _by_node: dict[int, dict[str, str]] = field(default_factory=dict)

    def add(self, node: int, digests: Mapping[str, str]) -> None:
        """Note versions that a node holds, by stream."""
        self._by_node.setdefault(node, {}).update(digests)

    def replace(self, node: int, digests: Mapping[str, str]) -> None:
        """Set the versions that a node holds, and forget those that it held before."""
        self._by_node[node] = dict(digests)

    def version(self, node: int, stream: str) -> str | None:
        """Return the digest of the version of a stream that a node holds, or None."""
        return self._by_node.get(node, {}).get(stream)

    def nodes(self) -> set[int]:
        """Return the nodes that have acknowledged anything."""
        return set(self._by_node)

    def snapshot(self) -> dict[int, dict[str, str]]:
        """Return a copy: by node and stream, the digest of the version that the node holds."""
        return {node: dict(digests) for node, digests in self._by_node.items()}

    def clear(self) -> None:
        """Forget all nodes."""
        self._by_node.clear()

    def to_json(self) -> dict[str, dict[str, str]]:
        """Return what `from_json` reads."""
        return {str(node): dict(digests) for node, digests in self._by_node.items()}

    @classmethod
    def from_json(cls, state: Mapping[str, Mapping[str, str]]) -> "Acknowledgements":
        """Read what `to_json` returned; other values raise `ValueError`, `TypeError` or `AttributeError`."""
        return cls({int(node): dict(digests) for node, digests in state.items()})
