"""The payloads of a stream: kept, routed and relayed without being decoded."""

import os
from pathlib import Path

from fedretina.dom.versions.link import Link, LinkFolder, link_of
from fedretina.dom.versions.route import Route, cheapest_path, route_along
from fedretina.errors import BadArgument, UnknownBase


class PayloadLog:
    """The newest payloads of one stream: which version each builds on, which it leads to, its number and its bytes.

    It holds no tensors and decodes nothing, so a server can relay what it may not read. `Stream` adds the versions
    themselves: exact skips for receivers that the kept payloads do not serve.

    Parameters
    ----------
    name : str
        What errors call the stream.
    keep : int, default 32
        How many of the newest payloads are kept.
    folder : path, optional
        Where payloads are kept as files, so that a server that starts again finds them. In memory only by default.

    Raises
    ------
    BadArgument
        If `keep` is not positive, or the folder cannot be made.

    Examples
    --------
    >>> import numpy as np
    >>> from fedretina.dom import Version, follow, publish
    >>> first = publish({"w": np.zeros(999)}, base=None)
    >>> second = publish({"w": np.ones(999)}, base=first.version)
    >>> log = PayloadLog("digits")
    >>> [log.append(made.payload).number for made in (first, second)]
    [1, 2]
    >>> route = log.route(first.version.digest)
    >>> route.kind, follow(route.payloads, base=first.version) == second.version
    ('delta', True)
    """

    def __init__(self, name: str, *, keep: int = 32, folder: str | os.PathLike[str] | None = None) -> None:
        if keep < 1:
            raise BadArgument(f"keep is {keep}, for stream {name!r}; allowed: at least 1")
        self.name = name
        self.keep = keep
        self._folder = None if folder is None else LinkFolder(Path(folder))
        self._links: list[Link] = [] if self._folder is None else self._folder.load()

    @property
    def links(self) -> tuple[Link, ...]:
        """The kept payloads, oldest first."""
        return tuple(self._links)

    @property
    def number(self) -> int:
        """The newest version's number: 0 before the first, 1 for the first keyframe."""
        return self._links[-1].number if self._links else 0

    @property
    def newest(self) -> str | None:
        """The digest of the newest version; None before the first."""
        return self._links[-1].digest if self._links else None

    def append(self, payload: bytes) -> Link:
        """Keep a maker's next payload; its check sum is verified, its tensors are not.

        A payload that is among the kept ones changes nothing: a repeated or replayed message rolls nothing back.

        Raises
        ------
        UnknownBase
            If no kept payload leads to its base: ask the maker for a keyframe.
        Corrupt, Truncated, TooNew
            As `decode`, for the payload's envelope.
        """
        link = self.read(payload)
        if (known := self.find(link)) is not None:
            return known
        if link.base is not None and not self.leads_to(link.base):
            newest = "none" if self.newest is None else self.newest[:8]
            raise UnknownBase(
                f"stream {self.name!r}: the payload builds on version {link.base[:8]}, newest kept is {newest}; "
                "ask the maker for a keyframe"
            )
        return self.add(link)

    def read(self, payload: bytes) -> Link:
        """Return what a payload would be as the next one; keep nothing."""
        return link_of(self.number + 1, payload)

    def find(self, link: Link) -> Link | None:
        """Return the kept link that has the same payload."""
        return next((known for known in self._links if known.payload == link.payload), None)

    def add(self, link: Link) -> Link:
        """Keep a link as the newest one, whatever its base and payload are."""
        self._links = [*self._links, link][-self.keep :]
        if self._folder is not None:
            self._folder.save(link, oldest=self._links[0].number)
        return link

    def route(self, holds: str | None) -> Route | None:
        """Return the cheapest kept payloads that lead from a version to exactly the newest one.

        Where one payload of the maker does it, that is relayed byte for byte: signatures live on it.

        Parameters
        ----------
        holds : str or None
            The digest of what the receiver holds; None for nothing. An unknown digest gets what None gets.

        Returns
        -------
        Route or None
            None if the kept payloads do not lead there: the receiver needs a new keyframe.

        Raises
        ------
        BadArgument
            If the stream has no version yet.
        """
        routes = self.routes(holds)
        if routes and routes[0].is_relay:
            return routes[0]
        return min(routes, key=lambda route: route.size, default=None)

    def routes(self, holds: str | None) -> list[Route]:
        """Return the cheapest routes from what a receiver holds and from nothing, in this order; see `route`."""
        if self.newest is None:
            raise BadArgument(f"stream {self.name!r} has no version yet; publish or accept one first")
        if holds == self.newest:
            return [Route("none", ())]
        paths = (cheapest_path(self._links, start, self.newest) for start in dict.fromkeys((holds, None)))
        return [route_along(path) for path in paths if path]

    def path(self, holds: str | None, wanted: str) -> list[Link]:
        """Return the kept links with the fewest bytes that lead to a version, from what a receiver holds or from nothing.

        Returns
        -------
        list of Link
            In order; empty if the kept payloads do not lead there.
        """
        paths = (cheapest_path(self._links, start, wanted) for start in dict.fromkeys((holds, None)))
        return min((path for path in paths if path), key=lambda path: sum(len(link.payload) for link in path), default=[])

    def leads_to(self, digest: str) -> bool:
        """Tell whether one of the kept payloads leads to a version."""
        return any(link.digest == digest for link in self._links)

    def drop_newest(self) -> None:
        """Forget the newest payload: nobody can make its version."""
        self._links.pop()
