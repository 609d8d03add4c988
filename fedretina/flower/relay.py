"""The sealed streams of a run at its server: who may read which, what came from makers, and what goes to nodes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from flwr.app import ArrayRecord

from fedretina.errors import BadArgument, Corrupt
from fedretina.flower.header import ReturnedModel
from fedretina.flower.lazy import lazy_record, source_of
from fedretina.flower.nodes import NodeDirectory
from fedretina.flower.ownership import Ownership
from fedretina.flower.sealed import SealedLink, SealedRoute, SealedSource, SealedStream
from fedretina.flower.seals import UpSeal
from fedretina.flower.server_trust import ServerTrust
from fedretina.trust import Identity, owner_of

_FOLDER = "sealed"
_BODY_FAULTS = ("Corrupt", "Endless", "Forged", "Truncated", "Unsealed")
"""What a node says of a sealed payload that is wrong; the server cannot check that itself."""


@dataclass(frozen=True)
class _Bytes:
    """What a sealed model looks like to the server: bytes of some number."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.uint8))


@dataclass
class SealedRelay:
    """Keeps and relays what the server may not read.

    Parameters
    ----------
    trust : ServerTrust
        Checks what comes, and has the city root.
    nodes : NodeDirectory
        Which domains a node hosts.
    ownership : Ownership
        Decides which node may publish into a stream.
    folder : Path or None, default None
        Where the payloads are kept as files; None: in memory only.
    """

    trust: ServerTrust
    nodes: NodeDirectory
    ownership: Ownership
    folder: Path | None = None
    _streams: dict[str, SealedStream] = field(default_factory=dict, init=False)
    _recipients: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.folder is not None and (self.folder / _FOLDER).is_dir():
            for path in sorted((self.folder / _FOLDER).iterdir()):
                self._open(unquote(path.name))

    def set_recipients(self, stream: str, domains: Iterable[str]) -> None:
        """Say which domains read a stream, beside the city's front ends; see `DomGrid.seal_for`."""
        self._recipients[stream] = tuple(domains)

    def recipients_at(self, node: int) -> dict[str, tuple[str, ...]]:
        """Return who reads the streams of a node's domains, as far as `set_recipients` said."""
        hosted = self._domains(node)
        return {stream: self._named(stream) for stream in self._recipients if not hosted or owner_of(stream) in hosted}

    def bases(self) -> dict[str, str]:
        """Return by stream the digest of the version that its maker builds on; without one the maker makes a keyframe."""
        found = {name: stream.next_base(self._keys_of(self._readers(name))) for name, stream in self._streams.items()}
        return {name: digest for name, digest in found.items() if digest is not None}

    def receive(
        self, body: bytes, info: ReturnedModel, *, statement: bytes | None, seal: UpSeal | None, node: int
    ) -> SealedLink:
        """Check a maker's sealed payload, and keep it as the newest version of its stream.

        Parameters
        ----------
        body : bytes
            The sealed payload.
        info : ReturnedModel
            What the reply's header says of it.
        statement, seal : bytes and UpSeal, or None
            What the header's trust has for it.
        node : int
            The node that sent it.

        Raises
        ------
        Untrusted
            Named after the attack; also if another node owns the stream.
        Corrupt, Truncated
            If header and statement disagree, or the payload is cut.
        """
        self.ownership.check(info.stream, node)
        found = self.trust.check_sealed(info.stream, body, statement)
        if statement is None or seal is None or found.base.hex() != info.base:
            raise Corrupt(f"{info.stream}: the reply's DoM header and its signed statement do not fit: drop the reply")
        wanted = self._keys_of(self._readers(info.stream))
        log = self._open(info.stream)
        link = SealedLink(
            number=log.log.number + 1,
            base=info.base or None,
            digest=found.digest.hex(),
            payload=body,
            lattice=True,
            statement=statement,
            stanzas=seal.stanzas,
            asked=frozenset(wanted if self.trust.is_up_to_date(node) else wanted & seal.stanzas.keys()),
            order=info.order,
            plain=seal.plain,
        )
        return log.add(link)

    def route(self, source: SealedSource, node: int, holds: str | None) -> SealedRoute:
        """Return what leads a node to a version, or to the one before if the node refused it."""
        keys = self._keys_of(self._domains(node))
        return source.stream.route(node, sorted(keys), wanted=source.digest, holds=holds)

    def note_refusals(self, node: int, sent: Mapping[str, str], missing: Mapping[str, str]) -> None:
        """Note the sealed versions (digests by stream) that a node could not open, by the reasons that it gave by record."""
        for name, reason in missing.items():
            if reason.startswith(_BODY_FAULTS) and name in sent and name in self._streams:
                self._streams[name].refuse(node, sent[name])

    def model(self, stream: str) -> ArrayRecord:
        """Return a record that stands for the newest version of a stream; nobody can read its arrays here.

        Raises
        ------
        BadArgument
            If the stream has no version.
        """
        log = self._open(stream)
        source = SealedSource(log, log.newest)
        return lazy_record(source, {"sealed": _Bytes((len(log.newest.payload),))}, ["sealed"])

    def _open(self, name: str) -> SealedStream:
        if name not in self._streams:
            folder = None if self.folder is None else self.folder / _FOLDER / quote(name, safe="").replace(".", "%2E")
            self._streams[name] = SealedStream(name, folder)
        return self._streams[name]

    def _domains(self, node: int) -> tuple[str, ...]:
        """Return the domains of a node: those that the strategy registered, and the one that signed its last report."""
        claimed = self.trust.domain_of(node)
        return tuple(dict.fromkeys((*self.nodes.domains(node), *([claimed] if claimed else []))))

    def _named(self, stream: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._recipients[stream], *self.trust.identity.verifier.root.front_ends())))

    def _readers(self, stream: str) -> Iterable[str]:
        names = self._named(stream) if stream in self._recipients else self.trust.identity.verifier.root.domains
        return (name for name in names if name != owner_of(stream))

    def _keys_of(self, domains: Iterable[str]) -> set[str]:
        return {key.id for key in self.trust.identity.verifier.root.sealing_keys(domains).values()}


def sealed_digest(record: ArrayRecord) -> str | None:
    """Return the digest of a sealed version, by the record that stands for it; None for any other record.

    Examples
    --------
    >>> sealed_digest(ArrayRecord()) is None
    True
    """
    source = source_of(record)
    return source.digest if isinstance(source, SealedSource) else None


def check_seal(trust: Identity | None, uplink: str) -> None:
    """Raise `BadArgument` if there are no keys to seal for, or if the server would have to read what is sealed."""
    if trust is None:
        raise BadArgument("seal=True without trust: there are no keys to seal for; give trust=server_identity()")
    if uplink != "stream":
        raise BadArgument(
            f"seal=True with uplink={uplink!r}: the server cannot average models that it cannot read; use uplink='stream' "
            "and a strategy that relays models, such as PeerReuse, or leave seal out"
        )
