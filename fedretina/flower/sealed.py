"""Sealed streams at a server that may not read them: a log of payloads, relayed with the stanzas of their recipients.

The server holds no versions, so it makes no skips. A node that missed versions gets the chain of payloads. A new keyframe
bounds the chain; the server asks the maker for one after `KEYFRAME_EVERY` versions, when a recipient is new, and when a
recipient refused a payload that the server cannot check itself.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, cast

import msgpack

from fedretina.atomic import remove_abandoned, write_bytes
from fedretina.dom import Array, Link, PayloadLog
from fedretina.errors import BadArgument, Corrupt
from fedretina.flower.seals import DownSeal

KEYFRAME_EVERY = 16
"""After how many versions the maker publishes a keyframe again."""
_SUFFIX = ".sealed"
_log = logging.getLogger("fedretina.flower")


@dataclass(frozen=True, kw_only=True)
class SealedLink(Link):
    """A sealed payload of a stream.

    Parameters
    ----------
    number, base, digest, payload, lattice, lossless
        As in `fedretina.dom.Link`, as the maker signed them; `payload` is the sealed body.
    statement : bytes
        The signed statement.
    stanzas : mapping of str to bytes
        The wrapped key for each recipient, by the identifier of the recipient's key.
    asked : frozenset of str
        Identifiers of the keys that the server asked the maker to seal for, as far as the maker knew them.
    order : tuple of int or None
        The order of the arrays; see `fedretina.flower.records.order_of`.
    plain : tuple of int
        The model's size as plain Flower would send it, down and up, in bytes.
    """

    statement: bytes = field(repr=False)
    stanzas: Mapping[str, bytes] = field(repr=False)
    asked: frozenset[str]
    order: tuple[int, ...] | None
    plain: tuple[int, int]

    def to_bytes(self) -> bytes:
        """Return what `from_bytes` reads."""
        fields = [self.number, self.base, self.digest, self.payload, self.statement, dict(self.stanzas)]
        return bytes(msgpack.packb([*fields, sorted(self.asked), self.order, self.plain]))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a file of the server's own; `Corrupt` if it is damaged."""
        try:
            number, base, digest, payload, statement, stanzas, asked, order, plain = msgpack.unpackb(data)
            return cls(
                number=int(number), base=base, digest=str(digest), payload=bytes(payload), lattice=True,
                statement=bytes(statement), stanzas=dict(stanzas), asked=frozenset(asked),
                order=None if order is None else tuple(order), plain=(int(plain[0]), int(plain[1])),
            )  # fmt: skip
        except Exception as error:  # msgpack raises its own kinds beside ValueError and TypeError
            raise Corrupt(f"a sealed payload's file is damaged ({error!r}): its maker publishes a keyframe") from error


@dataclass(frozen=True)
class SealedRoute:
    """What a node gets of a sealed stream: a version, and the payloads that lead to it from what the node holds."""

    stream: str
    version: SealedLink
    path: tuple[SealedLink, ...]
    seal: DownSeal

    @property
    def kind(self) -> str:
        """The kind as in `fedretina.ledger.KINDS`."""
        if not self.path:
            return "none"
        return "keyframe" if self.path[0].is_keyframe else "delta" if len(self.path) == 1 else "chain"


class SealedStream:
    """The payloads of one sealed stream.

    Parameters
    ----------
    name : str
        The stream.
    folder : Path or None, default None
        Where the payloads are kept as files; None: in memory only.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self.log = PayloadLog(name, keep=2 * KEYFRAME_EVERY)
        self._folder = folder
        self._refused: dict[int, set[str]] = {}
        for link in [] if folder is None else _load(folder):
            self.log.add(link)

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.log.name

    @property
    def links(self) -> tuple[SealedLink, ...]:
        """The kept payloads, oldest first."""
        return cast(tuple[SealedLink, ...], self.log.links)

    @property
    def newest(self) -> SealedLink:
        """The newest payload.

        Raises
        ------
        BadArgument
            If there is none.
        """
        if not self.links:
            raise BadArgument(f"the sealed stream {self.name!r} has no version; let its domain publish one first")
        return self.links[-1]

    def add(self, link: SealedLink) -> SealedLink:
        """Keep a payload as the newest one; a payload that is kept already changes nothing."""
        if (known := self.log.find(link)) is not None:
            return cast(SealedLink, known)
        self.log.add(link)
        if self._folder is not None:
            _save(self._folder, link, oldest=self.links[0].number)
        return link

    def refuse(self, node: int, digest: str) -> None:
        """Note that a node refused a version: it gets the version before, and the maker is asked for a keyframe."""
        self._refused.setdefault(node, set()).add(digest)

    def next_base(self, wanted: Collection[str]) -> str | None:
        """Return the digest of the version that the maker's next payload builds on; None asks the maker for a keyframe.

        Parameters
        ----------
        wanted : collection of str
            Identifiers of the recipients' keys.
        """
        if self.log.newest is None:
            return None
        chain = cast(list[SealedLink], self.log.path(None, self.log.newest))
        refused = {digest for digests in self._refused.values() for digest in digests}
        is_sound = all(link.digest not in refused and link.asked.issuperset(wanted) for link in chain)
        return self.log.newest if chain and is_sound and len(chain) < KEYFRAME_EVERY else None

    def route(self, node: int, keys: Collection[str], *, wanted: str, holds: str | None) -> SealedRoute:
        """Return what a node gets.

        Parameters
        ----------
        node : int
            The node. Versions that it refused are passed over: the version before stays in force there.
        keys : collection of str
            Identifiers of the node's sealing keys.
        wanted : str
            Digest of the version that the strategy sends.
        holds : str or None
            Digest of the version that the node holds.

        Returns
        -------
        SealedRoute
            Without payloads if the node holds the version, or if none can be opened by it. The node reports the latter.
        """
        position = next((i for i, link in enumerate(self.links) if link.digest == wanted), len(self.links) - 1)
        for link in reversed(self.links[: position + 1]):
            if link.digest in self._refused.get(node, ()):
                continue
            path = () if link.digest == holds else tuple(cast(list[SealedLink], self.log.path(holds, link.digest)))
            stanzas = [next((one.stanzas[key] for key in keys if key in one.stanzas), None) for one in path]
            if link.digest == holds or (path and None not in stanzas):
                earlier = tuple(one.statement for one in path[:-1])
                return SealedRoute(self.name, link, path, DownSeal(tuple(cast(list[bytes], stanzas)), earlier))
        return SealedRoute(self.name, self.links[position], (), DownSeal(()))


class SealedSource:
    """Stands for the arrays of a sealed version: its server can relay it, and nothing else.

    Parameters
    ----------
    stream : SealedStream
        The stream.
    link : SealedLink
        The version.
    """

    def __init__(self, stream: SealedStream, link: SealedLink) -> None:
        self.stream, self.link = stream, link

    @property
    def digest(self) -> str:
        """Digest of the version."""
        return self.link.digest

    def plain_bytes(self, direction: str) -> int:
        """Return the model's size as plain Flower would send it, in bytes, as its maker says."""
        return self.link.plain[0 if direction == "down" else 1]

    def array(self, name: str) -> Array:
        """Raise `BadArgument`: nobody can read a sealed model here."""
        raise BadArgument(
            f"the model {self.stream.name!r} (version {self.digest[:8]}) is sealed for its recipients, and this server "
            "cannot read it: it can relay it, and choose by metrics; to average or compare models, run without seal"
        )


def _load(folder: Path) -> list[SealedLink]:
    """Return the payloads of a folder, oldest first; after a damaged file only what follows is of use."""
    links: list[SealedLink] = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            links.append(SealedLink.from_bytes(path.read_bytes()))
        except (Corrupt, OSError) as error:
            _log.warning("%s is passed over: %s", path, error)
    return links


def _save(folder: Path, link: SealedLink, *, oldest: int) -> None:
    path = folder / f"{link.number:08d}{_SUFFIX}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, link.to_bytes(), private=True)
    except OSError as error:
        raise BadArgument(
            f"{path} cannot be written: {error.strerror or error}; free space, or give another folder"
        ) from error
    for other in folder.glob(f"*{_SUFFIX}"):
        if other.stem.isdecimal() and int(other.stem) < oldest:
            other.unlink(missing_ok=True)
    remove_abandoned(folder)
