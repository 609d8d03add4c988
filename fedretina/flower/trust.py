"""Signatures beside the models: domains sign what they publish, the server signs what it makes, receivers check both.

A stream belongs to the domain that its name begins with (``"duke"``, ``"duke/reuse"``), if a city root lists or listed that
domain. All other streams are the server's. With trust every ArrayRecord of a message travels coded, with a statement. A
record without one is refused.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import flwr
from flwr.app import RecordDict

import fedretina
from fedretina.dom import Version
from fedretina.errors import Untrusted
from fedretina.flower.seals import DownSeal, UpSeal
from fedretina.trust import (
    SERVER,
    Forged,
    Identity,
    Replayed,
    Sealed,
    Statement,
    UnknownSigner,
    Unsealed,
    is_sealed,
    owner_of,
    seal,
)

UPDATE = "update"
"""Purpose of a reply's model that no stream keeps."""
DATA = "data"
"""Purpose of other arrays of the server's."""
RELEASE = f"fedretina {fedretina.__version__}, flwr {flwr.__version__}"
_REMEDY = "run the strategy over DomGrid(grid, trust=...), or relay versions with SignedRelay"
_SEAL = "start the run with seal=true; in an app of your own use DomGrid(grid, trust=..., seal=True, uplink='stream')"


@dataclass(frozen=True)
class DownTrust:
    """What a header to a node has beside the models.

    Parameters
    ----------
    roots : tuple of bytes
        Signed city roots that the node does not have, in order.
    newest : bytes
        The server's signed list of the newest versions of the message's streams.
    statements : mapping of str to bytes
        Signed statements by record name.
    seals : mapping of str to DownSeal
        What opens the sealed records, by record name.
    recipients : mapping of str to tuple of str, or None
        With sealing: the domains that the node's payloads are to be sealed for, by stream; all of the city for a stream that
        is not named. None without sealing.
    """

    roots: tuple[bytes, ...]
    newest: bytes
    statements: Mapping[str, bytes]
    seals: Mapping[str, DownSeal] = field(default_factory=dict)
    recipients: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class UpTrust:
    """What a header to the server has beside the models.

    Parameters
    ----------
    root : int
        The version of the city root that the node trusts.
    acknowledgement : bytes
        The node's signed report.
    statements : mapping of str to bytes
        Signed statements by record name.
    seals : mapping of str to UpSeal
        The wrapped keys of the sealed records, by record name.
    """

    root: int
    acknowledgement: bytes
    statements: Mapping[str, bytes] = field(default_factory=dict)
    seals: Mapping[str, UpSeal] = field(default_factory=dict)


class NodeTrust:
    """The checks and signatures of a node.

    Parameters
    ----------
    identity : Identity
        The node's.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def hear(self, down: DownTrust | None) -> None:
        """Take newer city roots and the list of newest versions.

        Raises
        ------
        Untrusted
            Named after the attack; `UnknownSigner` if the server signs nothing.
        """
        if down is None:
            raise self.identity.verifier.refuse(UnknownSigner(f"the message has no signatures: {_REMEDY}"))
        if down.roots:
            self.identity.update_root(down.roots)
        self.identity.verifier.hear_newest(down.newest)

    def check(self, name: str, stream: str, digest: str, statement: bytes | None, payloads: Sequence[bytes]) -> Statement:
        """Check the statement of a record before its payloads are opened or decoded.

        Parameters
        ----------
        name : str
            The record's name.
        stream : str
            The stream that the header names; "" for data.
        digest : str
            The version that the header names.
        statement : bytes or None
            The signed statement.
        payloads : sequence of bytes
            What leads to the version.

        Raises
        ------
        Untrusted
            Named after the attack.
        """
        verifier = self.identity.verifier
        if statement is None:
            raise verifier.refuse(UnknownSigner(f"the record {name!r} came without a signature: drop it"))
        if owner_of(name) in self.identity.known_owners and stream != name:
            raise verifier.refuse(Replayed(f"the stream {stream!r} came as the record {name!r}: drop it"))
        owner, signed_stream = self._owner(stream or f"{DATA}/{name}")
        found = verifier.check(statement, stream=signed_stream, owner=owner, purpose="model" if stream else DATA)
        if found.digest.hex() != digest:
            raise verifier.refuse(
                Forged(f"{name}: the header names version {digest[:8]}, signed is {found.digest.hex()[:8]}: drop it")
            )
        if not any(map(is_sealed, payloads)):
            self._check_may_be_read(name, owner, payloads)
            verifier.guard(lambda: found.check_route(payloads))
        return found

    def open(
        self, name: str, found: Statement, statement: bytes, sealed: DownSeal | None, payloads: Sequence[bytes]
    ) -> Sequence[bytes]:
        """Return a record's payloads as they are decoded: sealed ones are opened, each beside its own statement.

        Parameters
        ----------
        name : str
            The record's name.
        found : Statement
            What `check` returned.
        statement : bytes
            The signed statement.
        sealed : DownSeal or None
            What the header says of the record's seal.
        payloads : sequence of bytes
            What leads to the version.

        Raises
        ------
        Untrusted
            Named after the attack.
        """
        if not any(map(is_sealed, payloads)):
            return payloads
        verifier = self.identity.verifier
        if sealed is None or not len(payloads) == len(sealed.stanzas) == len(sealed.earlier) + 1:
            raise verifier.refuse(Unsealed(f"the record {name!r} is sealed, and nothing came that opens it: send it again"))
        for data in sealed.earlier:
            verifier.check_earlier(data, stream=found.stream)
        parts = zip(payloads, sealed.stanzas, (*sealed.earlier, statement), strict=True)
        return [self.identity.open(payload, stanza, data) for payload, stanza, data in parts]

    def seal(self, name: str, payload: bytes, statement: bytes, recipients: Collection[str] | None) -> Sealed:
        """Seal a signed payload of a stream for recipients that the server proposes; None proposes all of the city."""
        return seal(payload, self.identity.recipients(owner_of(name), recipients), statement)

    def check_asks_for_seal(self) -> None:
        """Refuse a training whose model would leave this node without a seal, if the node's policy forbids that.

        Raises
        ------
        Unsealed
            If it does.
        """
        if self.identity.verifier.policy.require_sealed:
            raise self._unsealed("the reply's model")

    def check_leaving(self, content: RecordDict) -> None:
        """Refuse to send arrays that are not sealed, if the node's policy forbids that; whoever asked for them, and how.

        Raises
        ------
        Unsealed
            If it does.
        """
        if not self.identity.verifier.policy.require_sealed:
            return
        for name, record in content.array_records.items():
            if not record or not all(is_sealed(array.data) for array in record.values()):
                raise self._unsealed(f"the record {name!r}")

    def _unsealed(self, what: str) -> Untrusted:
        return self.identity.verifier.refuse(
            Unsealed(f"{what} would leave this node without a seal, and its policy.toml says require_sealed: {_SEAL}")
        )

    def install(self, found: Statement, version: Version) -> None:
        """Remember a decoded version; `Forged` if it is not the signed one."""
        self.identity.verifier.install(found, bytes.fromhex(version.digest))

    def sign(self, name: str, payload: bytes, version: Version, base: str, *, published: bool) -> bytes:
        """Sign a reply's payload.

        Raises
        ------
        BadArgument
            If the node publishes into a stream of a domain that it does not host.
        """
        owner = owner_of(name) if published else self.identity.owners[0]
        return self.identity.sign(
            payload,
            stream=name if published else f"{owner}/{UPDATE}/{name}",
            owner=owner,
            digest=bytes.fromhex(version.digest),
            base=bytes.fromhex(base),
            size=sum(array.nbytes for array in version.model.values()),
            purpose="model" if published else UPDATE,
        )

    def up(self, statements: Mapping[str, bytes] | None = None, seals: Mapping[str, UpSeal] | None = None) -> UpTrust:
        """Return what goes into the header of a reply."""
        version, report = self.identity.verifier.root.version, self.identity.acknowledge(RELEASE)
        return UpTrust(version, report, statements or {}, seals or {})

    def _check_may_be_read(self, name: str, owner: str, payloads: Sequence[bytes]) -> None:
        verifier = self.identity.verifier
        if payloads and owner != SERVER and verifier.policy.require_sealed:
            raise verifier.refuse(
                Unsealed(f"the model {name!r} came without a seal, and this node's policy.toml says require_sealed: {_SEAL}")
            )

    def _owner(self, stream: str) -> tuple[str, str]:
        """Return who must have signed a stream, and its name in statements."""
        owner = owner_of(stream)
        return (owner, stream) if owner in self.identity.known_owners else (SERVER, f"{SERVER}/{stream}")


def check_signed(content: RecordDict, coded: Collection[str]) -> None:
    """Refuse array records that travelled without signatures, at a node that demands them.

    Raises
    ------
    UnknownSigner
        If there is one.
    """
    if unsigned := [name for name in content.array_records if name not in coded]:
        raise UnknownSigner(
            f"the record {unsigned[0]!r} came without a signature, and this node belongs to a city: {_REMEDY}"
        )


def read_statements(value: object) -> dict[str, bytes]:
    """Read statements by record name from a header; `TypeError` if they are none."""
    if not isinstance(value, dict) or not all(isinstance(k, str) and isinstance(v, bytes) for k, v in value.items()):
        raise TypeError(f"{value!r:.40} are no statements")
    return value
