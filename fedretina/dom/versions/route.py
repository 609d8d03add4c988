"""Routes: the cheapest payloads from one version of a stream to another."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Literal

from fedretina.dom.versions.link import Link

Kind = Literal["keyframe", "delta", "chain", "skip", "lossless", "none"]


@dataclass(frozen=True)
class Route:
    """Payloads that lead to the newest version, in order.

    `kind`: "none" (nothing to send), "delta" (one of the maker's payloads), "chain" (several), "keyframe" (the maker's
    keyframe and what followed), "skip" (an exact difference over missed versions), "lossless" (bit-exact, off the
    lattice or without base).
    """

    kind: Kind
    payloads: tuple[bytes, ...] = field(repr=False)

    @property
    def is_relay(self) -> bool:
        """Whether this is one payload as its maker sent it."""
        return self.kind in ("delta", "keyframe") and len(self.payloads) == 1

    @property
    def size(self) -> int:
        """What the payloads take, in bytes."""
        return sum(map(len, self.payloads))


def cheapest_path(links: Sequence[Link], start: str | None, end: str) -> list[Link]:
    """Return the links from one version to another with the fewest bytes (Dijkstra); empty if there are none."""
    heap: list[tuple[int, int, str | None, list[Link]]] = [(0, 0, start, [])]
    done: set[str | None] = set()
    pushed = 0
    while heap:
        cost, _, at, path = heappop(heap)
        if at == end:
            return path
        if at in done:
            continue
        done.add(at)
        for link in links:
            if link.base == at and link.digest not in done:
                pushed += 1  # breaks ties, so that neither None nor links are ever compared
                heappush(heap, (cost + len(link.payload), pushed, link.digest, [*path, link]))
    return []


def route_along(path: Sequence[Link]) -> Route:
    """Return the route along a path of the maker's payloads."""
    kind: Kind = "keyframe" if path[0].is_keyframe else "delta" if len(path) == 1 else "chain"
    return Route(kind, tuple(link.payload for link in path))
