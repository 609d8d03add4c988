"""The series of versions of one model, and the cheapest way from any version to the newest."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from fedretina.dom.config import DomConfig
from fedretina.dom.format.codec import accept, publish
from fedretina.dom.tensors import MAX_RAW_BYTES, Model, raw_bytes
from fedretina.dom.version import Version
from fedretina.dom.versions.log import Link, LinkFolder, link_of
from fedretina.dom.versions.route import Way, cheapest_path, way_along
from fedretina.dom.versions.store import ReferenceStore
from fedretina.errors import BadArgument, UnknownBase


class Stream:
    """The versions of one model at one holder: at its maker, or at a server that relays them.

    Parameters
    ----------
    name : str
        What errors call the stream.
    store : ReferenceStore
        Holds the versions; exact skips start from those that are still in it.
    config : DomConfig
        How `publish` codes; also the effort of exact skips. Skips are cheap only with ``lattice=True``.
    keep : int, default 32
        How many of the newest payloads are kept for receivers that missed them.
    folder : path, optional
        Where payloads are kept as files, so that a holder that starts again finds them. In memory only by default.

    Raises
    ------
    BadArgument
        If `keep` is not positive.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> stream = Stream("digits", store=ReferenceStore(tempfile.mkdtemp()), config=DomConfig(lattice=True))
    >>> first = stream.publish({"w": np.linspace(0, 1, 999)})
    >>> second = stream.publish({"w": np.linspace(0, 2, 999)})
    >>> stream.number, stream.way(first.digest).kind
    (2, 'delta')
    >>> follow(stream.way(None).payloads, base=None) == stream.newest
    True
    """

    def __init__(
        self,
        name: str,
        *,
        store: ReferenceStore,
        config: DomConfig,
        keep: int = 32,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        if keep < 1:
            raise BadArgument(f"Stream.keep is {keep}; allowed: at least 1")
        self.name = name
        self.store = store
        self.config = config
        self.keep = keep
        self.newest: Version | None = None
        self._computed: dict[str | None, bytes] = {}
        self._folder = None if folder is None else LinkFolder(Path(folder))
        self._links: list[Link] = [] if self._folder is None else self._folder.load()
        self._resume()

    @property
    def number(self) -> int:
        """The newest version's number: 0 before the first, 1 for the first keyframe."""
        return self._links[-1].number if self._links else 0

    def publish(self, model: Model) -> Link:
        """Make the next version: a keyframe first, then deltas against the newest.

        Raises
        ------
        BadArgument
            If the model cannot travel.
        """
        made = publish(model, base=self.newest, config=self.config)
        return self._add(link_of(self.number + 1, made.payload), made.version)

    def accept(self, payload: bytes, *, max_bytes: int = MAX_RAW_BYTES) -> Link:
        """Add the version that a maker's payload leads to; its base is the newest version, or one in the store.

        A payload that is among the kept ones changes nothing: a repeated or replayed message rolls nothing back.

        Raises
        ------
        UnknownBase
            If the base is not held: ask the maker for `way(holds=stream.newest.digest)`.
        Corrupt, Truncated, TooNew
            As `decode`. The newest version stays in force.
        """
        link = link_of(self.number + 1, payload)
        for known in self._links:
            if known.payload == link.payload:
                return known
        return self._add(link, accept(payload, base=self._find(link.base), max_bytes=max_bytes))

    def way(self, holds: str | None) -> Way:
        """Return the cheapest payloads that lead from a version to exactly the newest one.

        Where one payload of the maker does it, that is relayed byte for byte: signatures live on it.

        Parameters
        ----------
        holds : str or None
            The digest of what the receiver holds; None for nothing. An unknown digest gets what None gets.

        Raises
        ------
        BadArgument
            If the stream has no version yet.
        """
        if self.newest is None:
            raise BadArgument(f"stream {self.name!r} has no version yet; publish or accept one first")
        if holds == self.newest.digest:
            return Way("none", ())
        ways = [
            way_along(path)
            for start in dict.fromkeys((holds, None))
            if (path := cheapest_path(self._links, start, self.newest.digest))
        ]
        if ways and ways[0].is_relay:
            return ways[0]
        best = min(ways, key=lambda way: way.size, default=None)
        for start in dict.fromkeys((holds, None)):
            if best is None or self._least(start) < best.size:
                exact = self._exact(start)
                best = exact if exact and (best is None or exact.size < best.size) else best
        assert best is not None  # without a base, the exact way always exists
        return best

    def leads_to(self, digest: str) -> bool:
        """Tell whether one of the kept payloads leads to a version."""
        return any(link.digest == digest for link in self._links)

    def _find(self, digest: str | None) -> Version | None:
        if digest is None:
            return None
        if self.newest is not None and digest == self.newest.digest:
            return self.newest
        version = self.store.get(digest)
        if version is None:
            holds = "none" if self.newest is None else self.newest.digest[:8]
            raise UnknownBase(
                f"stream {self.name!r}: the payload builds on version {digest[:8]}, newest held is {holds}; "
                "ask for another way"
            )
        return version

    def _add(self, link: Link, version: Version) -> Link:
        self.store.put(version)
        self._links = [*self._links, link][-self.keep :]
        if self._folder is not None:
            self._folder.save(link, oldest=self._links[0].number)
        self.newest = version
        self._computed.clear()
        return link

    def _resume(self) -> None:
        """Take the newest kept version that the store has, or that kept payloads rebuild."""
        while self._links and self.newest is None:
            target = self._links[-1].digest
            self.newest = self.store.get(target) or self._rebuild(target)
            if self.newest is None:
                self._links.pop()

    def _rebuild(self, target: str) -> Version | None:
        starts = dict.fromkeys([None, *(link.base for link in reversed(self._links))])
        for start in starts:
            path = cheapest_path(self._links, start, target)
            base = None if start is None else self.store.get(start)
            if path and (start is None or base is not None):
                version = follow([link.payload for link in path], base=base)
                self.store.put(version)
                return version
        return None

    def _least(self, holds: str | None) -> int:
        """Return what an exact way would cost at least: it is computed only if that could win.

        On the lattice, an exact skip carries what its last delta carries, and a lossless keyframe what the keyframe
        did. Off it, lossless floats cost more than half of their raw bytes.
        """
        assert self.newest is not None
        links = [link for link in self._links if (link.base is None) == (holds is None)]
        if not any(link.lattice for link in self._links):
            return raw_bytes(self.newest.model) // 2
        return len(links[-1].payload) if links else 0

    def _exact(self, holds: str | None) -> Way | None:
        """Return a lossless payload from a version to the newest, made once; None if that version is not held."""
        assert self.newest is not None
        if holds not in self._computed:
            base = self.store.get(holds) if holds is not None and holds in self.store else None
            if holds is not None and base is None:
                return None
            config = replace(self.config, lossless=True)
            self._computed[holds] = publish(self.newest.model, base=base, config=config).payload
        skip = holds is not None and any(link.lattice for link in self._links)
        return Way("skip" if skip else "lossless", (self._computed[holds],))


def follow(payloads: Iterable[bytes], *, base: Version | None, max_bytes: int = MAX_RAW_BYTES) -> Version:
    """Return the version that a series of payloads leads to.

    Parameters
    ----------
    payloads : iterable of bytes
        A `Way`'s payloads; none leads to the base itself.
    base : Version or None
        What is held.
    max_bytes : int, default 2**33
        The largest model to accept, in bytes.

    Raises
    ------
    BadArgument
        If there are neither payloads nor a base.
    UnknownBase, Corrupt, Truncated, TooNew
        As `accept`; the base stays in force.
    """
    version = base
    for payload in payloads:
        version = accept(payload, base=version, max_bytes=max_bytes)
    if version is None:
        raise BadArgument("there are neither payloads nor a base to follow")
    return version
