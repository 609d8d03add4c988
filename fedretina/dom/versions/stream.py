"""The series of versions of one model, and the cheapest route from any version to the newest."""

import logging
import os
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from fedretina.dom.config import DomConfig
from fedretina.dom.format.codec import accept, publish
from fedretina.dom.format.declared import read_tensors
from fedretina.dom.format.decoder import specs_of
from fedretina.dom.format.spec import Spec
from fedretina.dom.tensors import MAX_RAW_BYTES, Model
from fedretina.dom.version import Version
from fedretina.dom.versions.follow import rebuild
from fedretina.dom.versions.link import Link
from fedretina.dom.versions.log import PayloadLog
from fedretina.dom.versions.route import Route
from fedretina.dom.versions.store import ReferenceStore
from fedretina.errors import Corrupt, UnknownBase

_log = logging.getLogger("fedretina.dom")


class Stream:
    """The versions of one model at one holder: at its maker, or at a server that relays and reads them.

    The payloads are in `log`. A server that only relays needs no more than a `PayloadLog`. A server that sometimes reads the
    versions calls `relay` instead of `accept`: a payload waits undecoded until its version is needed.

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
    max_pending_bytes : int, default 256 MiB
        How many bytes of payloads may wait undecoded. They are kept beside the newest `keep`.

    Attributes
    ----------
    tensors : mapping of str to Spec
        Dtype and shape of the newest version's tensors, by name; known without decoding it.
    discarded : set of str
        Digests of the versions that were relayed and turned out to be corrupt.

    Raises
    ------
    BadArgument
        If `keep` is not positive.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from fedretina.dom import follow
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
        max_pending_bytes: int = 2**28,
    ) -> None:
        self.log = PayloadLog(name, keep=keep, folder=folder)
        self.store = store
        self.config = config
        self.tensors: Mapping[str, Spec] = {}
        self.discarded: set[str] = set()
        self._keep, self._max_pending_bytes = keep, max_pending_bytes
        self._decoded: Version | None = None
        self._pending: deque[Link] = deque()  # relayed and not decoded; each builds on the one before, or on nothing
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

    @property
    def newest(self) -> Version | None:
        """The newest version, None before the first; payloads that wait undecoded are decoded now.

        Raises
        ------
        Corrupt
            If one of them does not lead to its version. It is discarded with those after it; the version before is in force.
        """
        self._decode_pending()
        return self._decoded

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
        if (known := self.log.find(self.log.read(payload))) is not None:
            return known
        with suppress(Corrupt):  # a payload before this one is corrupt; it is logged
            self._decode_pending()
        link = self.log.read(payload)
        return self._add(link, accept(payload, base=self._find(link.base), max_bytes=max_bytes))

    def relay(self, payload: bytes, *, max_bytes: int = MAX_RAW_BYTES) -> Link:
        """Add the version that a maker's payload claims to lead to, without decoding it.

        Check sum, header and sizes are checked now; that the tensors have the digest, only when they are decoded. That is
        when somebody reads `newest`, when an exact skip may be the cheapest route, and when more than `max_pending_bytes`
        wait. Routes are the same as after `accept`. A payload that builds on an older version is decoded at once.

        Raises
        ------
        UnknownBase, Corrupt, Truncated, TooNew
            As `accept`, for what is checked now.
        """
        link = self.log.read(payload)
        if (known := self.log.find(link)) is not None:
            return known
        if link.base not in (None, self.log.newest):
            return self.accept(payload, max_bytes=max_bytes)
        self.tensors = read_tensors(payload, base=self.tensors, max_bytes=max_bytes)
        self._pending.append(link)
        self._keep_link(link)
        while sum(len(waiting.payload) for waiting in self._pending) > self._max_pending_bytes:
            self._decode_next()
        return link

    def version(self, digest: str) -> Version:
        """Return a version of the stream: the newest one, or one in the store.

        Raises
        ------
        UnknownBase
            If it is not held (any more).
        Corrupt
            As `newest`; if it was discarded.
        """
        if any(link.digest == digest for link in self._pending) or self._decoded is None or digest == self._decoded.digest:
            newest = self.newest
            if newest is not None and newest.digest == digest:
                return newest
        if digest in self.discarded:
            raise Corrupt(f"stream {self.name!r}: version {digest[:8]} was corrupt and is discarded; take the next one")
        found = self.store.get(digest)
        if found is None:
            raise UnknownBase(f"stream {self.name!r}: version {digest[:8]} is not held (any more); ask for another route")
        return found

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
        Corrupt
            As `newest`, if an exact skip has to be made.
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
        self.tensors = _tensors_of(version)
        self._keep_link(link)
        self._set_decoded(version)
        return link

    def _keep_link(self, link: Link) -> None:
        self.log.keep = max(self._keep, len(self._pending))
        self.log.add(link)
        self.discarded.discard(link.digest)
        self._exact_payloads.clear()

    def _set_decoded(self, version: Version) -> None:
        self.store.put(version)
        self._decoded = version

    def _decode_pending(self) -> None:
        while self._pending:
            self._decode_next()

    def _decode_next(self) -> None:
        """Decode the payload that has waited longest; discard it and all after it if it is corrupt."""
        link = self._pending[0]
        try:
            version = accept(link.payload, base=None if link.base is None else self._decoded)
        except Corrupt as error:
            self._discard_pending()
            held = "none" if self._decoded is None else f"{self.number} ({self._decoded.digest[:8]})"
            reason = f"stream {self.name!r}: version {link.number} ({link.digest[:8]}) was relayed and is corrupt: {error}"
            _log.warning("%s; discarded, in force is version %s", reason, held)
            raise Corrupt(reason) from error
        self._pending.popleft()
        self._set_decoded(version)

    def _discard_pending(self) -> None:
        for link in self._pending:
            self.discarded.add(link.digest)
            self.log.drop_newest()
        self._pending.clear()
        self._exact_payloads.clear()
        self.tensors = {} if self._decoded is None else _tensors_of(self._decoded)

    def _resume(self) -> None:
        """Take the newest kept version that the store has, or that kept payloads rebuild."""
        while self._decoded is None and (target := self.log.newest) is not None:
            self._decoded = self.store.get(target) or rebuild(self.log.links, target, self.store)
            if self._decoded is None:
                self.log.drop_newest()
            else:
                self.tensors = _tensors_of(self._decoded)

    def _least_exact(self, holds: str | None) -> int:
        """Return what an exact route would cost at least: it is computed only if that could win.

        On the lattice, an exact skip carries what its last delta carries, and a lossless keyframe what the keyframe
        did. Off it, lossless floats cost more than half of their raw bytes.
        """
        links = [link for link in self.log.links if (link.base is None) == (holds is None)]
        if not self._on_lattice:
            return sum(tensor.nbytes for tensor in self.tensors.values()) // 2
        return len(links[-1].payload) if links else 0

    def _exact(self, holds: str | None) -> Route | None:
        """Return a lossless payload from a version to the newest, made once; None if that version is not held."""
        newest = self.newest
        assert newest is not None
        if holds not in self._exact_payloads:
            base = self.store.get(holds) if holds is not None and holds in self.store else None
            if holds is not None and base is None:
                return None
            self._exact_payloads[holds] = publish(newest.model, base=base, config=self.config.exact).payload
        return Route("skip" if holds is not None and self._on_lattice else "lossless", (self._exact_payloads[holds],))

    @property
    def _on_lattice(self) -> bool:
        return any(link.lattice for link in self.log.links)


def _tensors_of(version: Version) -> Mapping[str, Spec]:
    return {spec.name: spec for spec in specs_of(version.model)}
