"""The graph of versions that payloads span: what comes after what, what is newest, what is missing."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from fedretina.dom.versions.link import Link
from fedretina.dom.versions.route import cheapest_path


class Lineage:
    """Versions (called by their digests) and the links between them; a version without base begins it.

    Parameters
    ----------
    links : sequence of Link
        In any order; forks, circles and links from versions that nothing leads to are allowed, and told.

    Examples
    --------
    >>> first, second = Link(0, None, "a", b"...", False), Link(1, "a", "b", b".", False)
    >>> lineage = Lineage([second, first, Link(2, "x", "y", b".", False)])
    >>> lineage.numbers, lineage.newest, sorted(lineage.missing), lineage.costs["b"]
    ({'a': 0, 'b': 1}, ('b',), ['x'], 4)
    """

    def __init__(self, links: Sequence[Link]) -> None:
        self.links = tuple(links)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The versions that can be reached, in order, with their numbers: 0 for a first one, 1 for what builds on it."""
        numbers: dict[str, int] = {}
        for version in self._order:
            numbers[version] = 1 + max((numbers[base] for base in self._bases[version]), default=-1)
        return numbers

    @cached_property
    def newest(self) -> tuple[str, ...]:
        """The versions that can be reached and that nothing builds on: one, unless the lineage forks."""
        return tuple(version for version in self._order if not self._successors[version])

    @cached_property
    def forks(self) -> tuple[str, ...]:
        """The versions that lead to several newest versions; a skip over versions is no fork."""
        ends: dict[str, frozenset[str]] = {}
        forks = []
        for version in reversed(self._order):
            following = [ends[after] for after in self._successors[version]]
            ends[version] = frozenset().union(*following) if following else frozenset([version])
            if len(ends[version]) > 1 and ends[version] not in following:
                forks.append(version)
        return tuple(reversed(forks))

    @cached_property
    def back_links(self) -> tuple[Link, ...]:
        """The links that lead back to an earlier version; if there are any, no version is the newest."""
        return tuple(link for link in self._inner_links if link.base not in self._bases[link.digest])

    @cached_property
    def missing(self) -> dict[str, list[Link]]:
        """The versions that nothing leads to, with the links that build on them."""
        given = {link.digest for link in self.links}
        missing: dict[str, list[Link]] = {}
        for link in self.links:
            if link.base is not None and link.base not in given:
                missing.setdefault(link.base, []).append(link)
        return missing

    @cached_property
    def costs(self) -> dict[str, int]:
        """By version that can be reached, the bytes of the cheapest route to it."""
        costs: dict[str, int] = {}
        for version in reversed(self._order):
            if version not in costs:  # the beginnings of a cheapest route are cheapest routes
                total = 0
                for link in self.route(version):
                    total += len(link.payload)
                    costs[link.digest] = total
        return costs

    def route(self, version: str) -> list[Link]:
        """Return the links from nothing to a version with the fewest bytes; empty if there is no route."""
        return cheapest_path(self.links, None, version)

    @cached_property
    def _depths(self) -> dict[str | None, int]:
        """By version that can be reached, the least number of links that lead to it."""
        following: dict[str | None, list[str]] = {}
        for link in self.links:
            following.setdefault(link.base, []).append(link.digest)
        depths: dict[str | None, int] = {None: -1}
        queue: list[str | None] = [None]
        for version in queue:  # grows meanwhile
            for after in following.get(version, []):
                if after not in depths:
                    depths[after] = depths[version] + 1
                    queue.append(after)
        return depths

    @cached_property
    def _inner_links(self) -> list[Link]:
        """The links between two versions that can be reached."""
        return [link for link in self.links if link.base in self._depths and link.base not in (None, link.digest)]

    @cached_property
    def _bases(self) -> dict[str, set[str]]:
        """What each version that can be reached builds on, without the steps that close a circle."""
        bases: dict[str, set[str]] = {version: set() for version in self._depths if version is not None}
        for link in self._inner_links:
            if link.base is not None:
                bases[link.digest].add(link.base)
        while circle := _find_cycle(bases):
            base, version = min(pairwise(circle), key=lambda step: self._depths[step[1]])
            bases[version].remove(base)
        return bases

    @cached_property
    def _successors(self) -> dict[str, list[str]]:
        nexts: dict[str, list[str]] = {version: [] for version in self._bases}
        for version, bases in self._bases.items():
            for base in bases:
                nexts[base].append(version)
        return nexts

    @cached_property
    def _order(self) -> list[str]:
        """The versions that can be reached, each after those that it builds on."""
        return list(TopologicalSorter(self._bases).static_order())


def _find_cycle(bases: Mapping[str, set[str]]) -> list[str]:
    """Return versions that build each on the one before it, the last one being the first; empty if there are none."""
    try:
        TopologicalSorter(bases).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []
