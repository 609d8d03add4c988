"""The series of versions of one model, and the cheapest route from any version to the newest."""

import os
from collections.abc import Iterable
from dataclasses import replace

from fedretina.dom.config import DomConfig
from fedretina.dom.format.codec import accept, publish
from fedretina.dom.tensors import MAX_RAW_BYTES, Model, raw_bytes
from fedretina.dom.version import Version
from fedretina.dom.versions.link import Link
from fedretina.dom.versions.log import PayloadLog
from fedretina.dom.versions.route import Route, cheapest_path
from fedretina.dom.versions.store import ReferenceStore
from fedretina.errors import BadArgument, UnknownBase


class Stream:
    """The versions of one model at one holder: at its maker, or at a server that relays and reads them.

    The payloads are in `log`. A server that only relays needs no more than a `PayloadLog`.

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
    >>> stream.number, stream.route(first.digest).kind
    (2, 'delta')
    >>> follow(stream.route(None).payloads, base=None) == stream.newest
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
        self.log = PayloadLog(name, keep=keep, folder=folder)
        self.store = store
        self.config = config
        self.newest: Version | None = None
        self._exact_payloads: dict[str | None, bytes] = {}
        self._resume()

    @property
    def name(self) -> str:
        """What errors call the stream."""
        return self.log.name

    @property
    def number(self) -> int:
        """The newest version's number: 0 before the first, 1 for the first keyframe."""
        return self.log.number

    def publish(self, model: Model) -> Link:
        """Make the next version: a keyframe first, then deltas against the newest.

        Raises
        ------
        BadArgument
            If the model cannot travel.
        """
        published = publish(model, base=self.newest, config=self.config)
        return self._add(self.log.read(published.payload), published.version)

    def accept(self, payload: bytes, *, max_bytes: int = MAX_RAW_BYTES) -> Link:
        """Add the version that a maker's payload leads to; its base is the newest version, or one in the store.

        A payload that is among the kept ones changes nothing: a repeated or replayed message rolls nothing back.

        Raises
        ------
        UnknownBase
            If the base is not held: ask the maker for `route(holds=stream.newest.digest)`.
        Corrupt, Truncated, TooNew
            As `decode`. The newest version stays in force.
        """
        link = self.log.read(payload)
        known = self.log.find(link)
        return known or self._add(link, accept(payload, base=self._find(link.base), max_bytes=max_bytes))

    def route(self, holds: str | None) -> Route:
        """Return the cheapest payloads that lead from a version to exactly the newest one.

        Where one payload of the maker does it, that is relayed byte for byte: signatures live on it. Otherwise the cheapest
        of the maker's payloads, an exact skip and a lossless keyframe.

        Parameters
        ----------
        holds : str or None
            The digest of what the receiver holds; None for nothing. An unknown digest gets what None gets.

        Raises
        ------
        BadArgument
            If the stream has no version yet.
        """
        routes = self.log.routes(holds)
        if routes and (routes[0].kind == "none" or routes[0].is_relay):
            return routes[0]
        best = min(routes, key=lambda route: route.size, default=None)
        for start in dict.fromkeys((holds, None)):
            if best is None or self._least_exact(start) < best.size:
                exact = self._exact(start)
                best = exact if exact and (best is None or exact.size < best.size) else best
        assert best is not None  # without a base, the exact route always exists
        return best

    def leads_to(self, digest: str) -> bool:
        """Tell whether one of the kept payloads leads to a version."""
        return self.log.leads_to(digest)

    def _find(self, digest: str | None) -> Version | None:
        if digest is None:
            return None
        if self.newest is not None and digest == self.newest.digest:
            return self.newest
        version = self.store.get(digest)
        if version is None:
            newest = "none" if self.newest is None else self.newest.digest[:8]
            raise UnknownBase(
                f"stream {self.name!r}: the payload builds on version {digest[:8]}, newest held is {newest}; "
                "ask for another route"
            )
        return version

    def _add(self, link: Link, version: Version) -> Link:
        self.store.put(version)
        self.log.add(link)
        self.newest = version
        self._exact_payloads.clear()
        return link

    def _resume(self) -> None:
        """Take the newest kept version that the store has, or that kept payloads rebuild."""
        while self.newest is None and (target := self.log.newest) is not None:
            self.newest = self.store.get(target) or self._rebuild(target)
            if self.newest is None:
                self.log.drop_newest()

    def _rebuild(self, target: str) -> Version | None:
        starts = dict.fromkeys([None, *(link.base for link in reversed(self.log.links))])
        for start in starts:
            path = cheapest_path(self.log.links, start, target)
            base = None if start is None else self.store.get(start)
            if path and (start is None or base is not None):
                version = follow([link.payload for link in path], base=base)
                self.store.put(version)
                return version
        return None

    def _least_exact(self, holds: str | None) -> int:
        """Return what an exact route would cost at least: it is computed only if that could win.

        On the lattice, an exact skip carries what its last delta carries, and a lossless keyframe what the keyframe
        did. Off it, lossless floats cost more than half of their raw bytes.
        """
        assert self.newest is not None
        links = [link for link in self.log.links if (link.base is None) == (holds is None)]
        if not self._on_lattice:
            return raw_bytes(self.newest.model) // 2
        return len(links[-1].payload) if links else 0

    def _exact(self, holds: str | None) -> Route | None:
        """Return a lossless payload from a version to the newest, made once; None if that version is not held."""
        assert self.newest is not None
        if holds not in self._exact_payloads:
            base = self.store.get(holds) if holds is not None and holds in self.store else None
            if holds is not None and base is None:
                return None
            config = replace(self.config, lossless=True)
            self._exact_payloads[holds] = publish(self.newest.model, base=base, config=config).payload
        return Route("skip" if holds is not None and self._on_lattice else "lossless", (self._exact_payloads[holds],))

    @property
    def _on_lattice(self) -> bool:
        return any(link.lattice for link in self.log.links)


def follow(payloads: Iterable[bytes], *, base: Version | None, max_bytes: int = MAX_RAW_BYTES) -> Version:
    """Return the version that a series of payloads leads to.

    Parameters
    ----------
    payloads : iterable of bytes
        A `Route`'s payloads; none leads to the base itself.
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
