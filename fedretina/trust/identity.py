"""A node's identity: its folder with keys, pinned roots, policy and memory. All of it stays on the node's machine.

::

    keys/DOMAIN.sign.pem   the domain's signing keys       roots/N.root   the city roots that are trusted here
    keys/DOMAIN.seal.pem   the domain's sealing key        policy.toml    what this node demands
                                                           memory.json    the newest versions that were accepted
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from fedretina import atomic
from fedretina.errors import BadArgument, FedRetinaError
from fedretina.trust.acknowledgement import Acknowledgement
from fedretina.trust.attacks import Unsealed
from fedretina.trust.keys import load_signing_keys
from fedretina.trust.memory import TrustMemory
from fedretina.trust.newest import Newest
from fedretina.trust.policy import Policy
from fedretina.trust.root import CityRoot
from fedretina.trust.sealing import open_sealed
from fedretina.trust.sealing_keys import RecipientKey, SealingKey
from fedretina.trust.signed import Signed
from fedretina.trust.statement import Statement, payload_hash
from fedretina.trust.verifier import SERVER, Verifier

STATEMENT_LIFETIME_S = 90 * 86_400


class IdentityFolder:
    """The files of an identity.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def keys(self) -> Path:
        """The folder of the private keys."""
        return self.path / "keys"

    @property
    def roots(self) -> Path:
        """The folder of the city roots that are trusted here."""
        return self.path / "roots"

    def signing_key(self, domain: str) -> Path:
        """Return the file of a domain's signing keys."""
        return self.keys / f"{domain}.sign.pem"

    def sealing_key(self, domain: str) -> Path:
        """Return the file of a domain's sealing key."""
        return self.keys / f"{domain}.seal.pem"

    def signed_roots(self) -> list[bytes]:
        """Return the signed roots, oldest first."""
        paths = [path for path in self.roots.glob("*.root") if path.stem.isdigit()]
        return [path.read_bytes() for path in sorted(paths, key=lambda path: int(path.stem))]

    def root(self) -> CityRoot:
        """Return the newest root.

        Raises
        ------
        BadArgument
            If there is none that can be read.
        """
        try:
            return _read_root(self.signed_roots()[-1])
        except (IndexError, OSError, FedRetinaError) as error:
            raise BadArgument(
                f"{self.roots} holds no city root that can be read ({error}): restore it from a backup"
            ) from error

    def add_root(self, version: int, signed: bytes) -> None:
        """Keep a root that was checked."""
        self.roots.mkdir(exist_ok=True)
        atomic.write_bytes(self.roots / f"{version}.root", signed, durable=True)


class Identity:
    """Keys and checks of a node that joined a city, or of the city's server.

    Parameters
    ----------
    path : Path
        The folder.
    owners : sequence of str
        The domains that the node hosts; ``["server"]`` for the server.
    clock : callable, default time.time
        Seconds since 1970.

    Raises
    ------
    BadArgument
        If a key, the policy, the memory or the root is missing or damaged.
    """

    def __init__(self, path: Path, owners: Sequence[str], *, clock: Callable[[], float] = time.time) -> None:
        self.folder = IdentityFolder(path)
        self.owners = tuple(owners)
        self.signing = {name: load_signing_keys(self.folder.signing_key(name)) for name in owners}
        self.sealing = {name: SealingKey.load(self.folder.sealing_key(name)) for name in owners if name != SERVER}
        self.verifier = Verifier(
            self.folder.root(), Policy.load(path / "policy.toml"), TrustMemory(path / "memory.json"), clock=clock
        )
        self._clock = clock

    @property
    def known_owners(self) -> set[str]:
        """All domains that a root that is kept here listed, also those that are revoked by now."""
        return {domain for data in self.folder.signed_roots() for domain in _read_root(data).domains}

    def sign(
        self,
        payload: bytes,
        *,
        stream: str,
        owner: str,
        digest: bytes,
        base: bytes,
        size: int,
        purpose: str = "model",
        after: int = 0,
    ) -> bytes:
        """Sign the next version of a stream; parameters as for `Statement`.

        The version's number is larger than `after`, and than all that were signed here. A domain that moved to this machine
        goes on from the number of its newest statement.

        Raises
        ------
        BadArgument
            If the owner's key is not here.
        """
        if owner not in self.signing:
            raise BadArgument(
                f"the stream {stream!r} is of {owner!r}, whose key is not in {self.folder.keys}: it has {self.owners}"
            )
        now = int(self._clock())
        found = Statement(
            stream=stream,
            counter=self.verifier.memory.next_counter(stream, at_least=after + 1),
            digest=digest,
            base=base,
            length=len(payload),
            payload=payload_hash(payload),
            size=size,
            created=now,
            expires=now + STATEMENT_LIFETIME_S,
            purpose=purpose,
        )
        return found.sign(self.signing[owner])

    def recipients(self, owner: str, names: Iterable[str] | None = None) -> list[RecipientKey]:
        """Return the keys that a domain's payloads are sealed with.

        Parameters
        ----------
        owner : str
            The domain.
        names : iterable of str or None, default None
            Who is to read them; None: all domains of the city. Names that the city root does not list, or that this node's
            policy does not admit, are left out: the server proposes recipients, and cannot add a key of its own.
        """
        root, policy = self.verifier.root, self.verifier.policy
        admitted = [name for name in (root.domains if names is None else names) if name != owner and policy.admits(name)]
        return list(root.sealing_keys(dict.fromkeys(admitted)).values())

    def open(self, sealed: bytes, stanza: bytes, statement: bytes) -> bytes:
        """Open a sealed payload with the key of one of the node's domains, and compare it with its checked statement.

        Raises
        ------
        Unsealed, Endless, Truncated, Forged
            As for `open_sealed`; `Forged` also if the payload is not the one that was signed.
        """
        found = Statement.from_body(Signed.from_bytes(statement).body)
        payload = self.verifier.guard(lambda: self._open(sealed, stanza, statement, found.length))
        self.verifier.guard(lambda: found.check_payload(payload))
        return payload

    def _open(self, sealed: bytes, stanza: bytes, statement: bytes, length: int) -> bytes:
        refused = Unsealed(f"this node has no key to open payloads with in {self.folder.keys}: restore it from a backup")
        for key in self.sealing.values():
            try:
                return open_sealed(sealed, stanza, key, statement, length=length)
            except Unsealed as error:
                refused = error
        raise refused

    def sign_newest(self, streams: Mapping[str, tuple[int, bytes]]) -> bytes:
        """Sign the server's list of newest versions.

        Its number is at least the time. So a server restored from a backup goes on above the numbers that nodes heard.
        """
        now = int(self._clock())
        counter = self.verifier.memory.next_counter("server/newest", at_least=now)
        return Newest(counter, now, streams).sign(self.signing[SERVER])

    def acknowledge(self, release: str = "") -> bytes:
        """Sign what this node holds, which attacks it refused, and which release it runs."""
        owner, memory = self.owners[0], self.verifier.memory
        held, root = memory.versions, self.verifier.root.version
        return Acknowledgement(owner, held, root, int(self._clock()), memory.attacks, release).sign(self.signing[owner])

    def newer_roots(self, version: int) -> list[bytes]:
        """Return the signed roots that follow a version, for a receiver that trusts that one."""
        return self.folder.signed_roots()[version:]

    def refresh_root(self) -> None:
        """Follow the roots that were put into the folder since, as the operator's commands do while a run goes on."""
        version = self.verifier.root.version
        if (self.folder.roots / f"{version + 1}.root").exists():
            self.verifier.update_root(self.newer_roots(version))

    def update_root(self, newer: Sequence[bytes]) -> None:
        """Follow signed roots that arrived, and keep those that are new; errors as for `update`."""
        known = self.verifier.root.version
        self.verifier.update_root(newer)
        for data in newer:
            version = _read_root(data).version
            if known < version <= self.verifier.root.version:
                self.folder.add_root(version, data)


@lru_cache(maxsize=64)
def _read_root(signed: bytes) -> CityRoot:
    """Read a root that was checked when it was kept; the root of a large city takes long to read."""
    return CityRoot.from_bytes(Signed.from_bytes(signed).body)
