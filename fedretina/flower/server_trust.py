"""The server's half of trust: it signs what it makes, checks what nodes send, and knows who may read what."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from fedretina.dom import Stream
from fedretina.errors import Truncated
from fedretina.flower.seals import DownSeal
from fedretina.flower.statements import StatementLog
from fedretina.flower.trust import DATA, UPDATE, DownTrust, UpTrust
from fedretina.trust import (
    SERVER,
    Acknowledgement,
    DailyTraffic,
    Endless,
    Forged,
    Identity,
    Signed,
    Statement,
    UnknownSigner,
    Unsealed,
    is_sealed,
    owner_of,
    sealed_length,
    write_reports,
)


@dataclass
class ServerTrust:
    """The checks and signatures of the server.

    Parameters
    ----------
    identity : Identity
        The server's.
    statements : StatementLog
        The statements of streams' versions.

    Attributes
    ----------
    reports : dict of str to Acknowledgement
        The last signed report of each domain.
    """

    identity: Identity
    statements: StatementLog = field(default_factory=StatementLog)
    reports: dict[str, Acknowledgement] = field(default_factory=dict, init=False)
    _roots: dict[int, int] = field(default_factory=dict, init=False)
    _domains: dict[int, str] = field(default_factory=dict, init=False)

    def count_bytes(self, node: int, label: str, count: int) -> None:
        """Add a message to the bytes of today; a node that no strategy registered counts by the domain that it reported."""
        if label := label or self._domains.get(node, ""):
            DailyTraffic(self.identity.folder.path).add(label, count)

    def check_reply(self, name: str, stream: str, digest: str, payload: bytes, statement: bytes | None) -> None:
        """Check a reply's model before it is decoded or relayed, and keep the statement of a stream's version.

        Raises
        ------
        Untrusted
            Named after the attack.
        """
        verifier = self.identity.verifier
        if statement is None:
            raise verifier.refuse(UnknownSigner(f"the reply's record {name!r} came without a signature: drop the reply"))
        claimed = stream or Statement.from_body(Signed.from_bytes(statement).body).stream
        if not stream and claimed != f"{owner_of(claimed)}/{UPDATE}/{name}":
            raise verifier.refuse(
                Forged(f"the update {name!r} came with a statement of the stream {claimed!r}: drop the reply")
            )
        found = verifier.check(statement, stream=claimed, purpose="model" if stream else UPDATE, payload=payload)
        verifier.install(found, bytes.fromhex(digest))
        if stream:
            self.statements.add(stream, digest, statement)

    def check_sealed(self, stream: str, body: bytes, statement: bytes | None) -> Statement:
        """Check a sealed version of a domain's stream, as far as a server can that does not read it.

        Raises
        ------
        Unsealed
            If it is not sealed.
        Untrusted
            Named after the attack; `Endless` if it is longer than its statement allows.
        Truncated
            If it is shorter.
        """
        verifier = self.identity.verifier
        if statement is None:
            raise verifier.refuse(UnknownSigner(f"the reply's record {stream!r} came without a signature: drop the reply"))
        if not is_sealed(body):
            raise verifier.refuse(
                Unsealed(f"the reply's record {stream!r} is not sealed, and this run demands it: update the node's release")
            )
        found = verifier.check(statement, stream=stream)
        expected = sealed_length(found.length)
        if len(body) > expected:
            raise verifier.refuse(
                Endless(
                    f"{stream}: the sealed payload has {len(body)} bytes, its statement allows {expected}: drop the reply"
                )
            )
        if len(body) < expected:
            raise Truncated(f"{stream}: the sealed payload ends after {len(body)} of {expected} bytes: drop the reply")
        verifier.install(found, found.digest)
        return found

    def hear(self, node: int, up: UpTrust | None) -> None:
        """Take a node's signed report.

        Raises
        ------
        Untrusted
            If no domain of the city signed it.
        """
        if up is None:
            raise self.identity.verifier.refuse(
                UnknownSigner(f"the reply of node {node} has no signatures: start the node with `fedretina city join`")
            )
        claimed = Acknowledgement.from_body(Signed.from_bytes(up.acknowledgement).body).domain
        self.reports[claimed] = self.identity.verifier.check_acknowledgement(up.acknowledgement, domain=claimed)
        self._roots[node], self._domains[node] = up.root, claimed
        write_reports(self.identity.folder.path, self.reports)

    def domain_of(self, node: int) -> str | None:
        """Return the domain that signed a node's last report; None before its first reply."""
        return self._domains.get(node)

    def is_up_to_date(self, node: int) -> bool:
        """Return whether a node trusts the newest city root."""
        return self._roots.get(node, 0) >= self.identity.verifier.root.version

    def root_of(self, node: int) -> int | None:
        """Return the root version that a node reported last; None before its first reply."""
        return self._roots.get(node)

    def stream_statement(self, stream: Stream, digest: str) -> bytes:
        """Return the statement of a stream's newest version: its domain's, or the server's own, made once."""
        known = self.statements.find(stream.name, digest)
        if known is not None:
            return known
        link = stream.log.links[-1]
        size = sum(math.prod(spec.shape) * spec.dtype.itemsize for spec in stream.tensors.values())
        made = self._sign(stream.name, link.payload, digest, base=link.base or "", size=size, purpose="model")
        self.statements.add(stream.name, digest, made)
        return made

    def data_statement(self, name: str, payload: bytes, digest: str, size: int) -> bytes:
        """Sign data of the server's that no stream keeps."""
        return self._sign(f"{DATA}/{name}", payload, digest, size=size, purpose=DATA)

    def down(
        self,
        node: int,
        statements: Mapping[str, bytes],
        versions: Mapping[str, str],
        seals: Mapping[str, DownSeal],
        recipients: Mapping[str, tuple[str, ...]] | None,
    ) -> DownTrust:
        """Return what goes into the header of a message.

        Parameters
        ----------
        node : int
            Who gets it.
        statements : mapping of str to bytes
            By record name.
        versions : mapping of str to str
            The digests of the message's streams.
        seals : mapping of str to DownSeal
            What opens the sealed records, by record name.
        recipients : mapping of str to tuple of str, or None
            As in `DownTrust`.
        """
        version = self.root_of(node)
        roots = () if version is None else tuple(self.identity.newer_roots(version))
        return DownTrust(roots, self.sign_newest(statements, versions), dict(statements), seals, recipients)

    def sign_newest(self, statements: Mapping[str, bytes], versions: Mapping[str, str]) -> bytes:
        """Sign the list of the newest versions among a message's statements; parameters as for `down`."""
        found = [Statement.from_body(Signed.from_bytes(data).body) for data in statements.values()]
        digests = set(versions.values())
        return self.identity.sign_newest(
            {one.stream: (one.counter, one.digest) for one in found if one.digest.hex() in digests}
        )

    def _sign(self, stream: str, payload: bytes, digest: str, *, base: str = "", size: int, purpose: str) -> bytes:
        return self.identity.sign(
            payload,
            stream=f"{SERVER}/{stream}",
            owner=SERVER,
            digest=bytes.fromhex(digest),
            base=bytes.fromhex(base),
            size=size,
            purpose=purpose,
        )
