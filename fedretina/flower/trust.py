"""Signatures beside the models: domains sign what they publish, the server signs what it makes, receivers check both.

A stream belongs to the domain that its name begins with (``"duke"``, ``"duke/reuse"``), if a city root lists or listed that
domain. All other streams are the server's. With trust every ArrayRecord of a message travels coded, with a statement. A
record without one is refused.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flwr
from flwr.app import RecordDict

import fedretina
from fedretina.dom import Stream, Version
from fedretina.trust import (
    SERVER,
    Acknowledgement,
    DailyTraffic,
    Forged,
    Identity,
    Replayed,
    Signed,
    Statement,
    UnknownSigner,
    owner_of,
    write_reports,
)

UPDATE = "update"
"""Purpose of a reply's model that no stream keeps."""
DATA = "data"
"""Purpose of other arrays of the server's."""
RELEASE = f"fedretina {fedretina.__version__}, flwr {flwr.__version__}"
_REMEDY = "run the strategy over DomGrid(grid, trust=...)"


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
    """

    roots: tuple[bytes, ...]
    newest: bytes
    statements: Mapping[str, bytes]


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
    """

    root: int
    acknowledgement: bytes
    statements: Mapping[str, bytes] = field(default_factory=dict)


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
        """Check the statement of a record before its payloads are decoded.

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
        verifier.guard(lambda: found.check_route(payloads))
        return found

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

    def up(self, statements: Mapping[str, bytes] | None = None) -> UpTrust:
        """Return what goes into the header of a reply."""
        return UpTrust(self.identity.verifier.root.version, self.identity.acknowledge(RELEASE), statements or {})

    def _owner(self, stream: str) -> tuple[str, str]:
        """Return who must have signed a stream, and its name in statements."""
        owner = owner_of(stream)
        return (owner, stream) if owner in self.identity.known_owners else (SERVER, f"{SERVER}/{stream}")


@dataclass
class ServerTrust:
    """The checks and signatures of the server.

    Parameters
    ----------
    identity : Identity
        The server's.

    Attributes
    ----------
    reports : dict of str to Acknowledgement
        The last signed report of each domain.
    """

    identity: Identity
    reports: dict[str, Acknowledgement] = field(default_factory=dict, init=False)
    _statements: dict[str, bytes] = field(default_factory=dict, init=False)  # by stream and digest
    _roots: dict[int, int] = field(default_factory=dict, init=False)
    _reporters: dict[int, str] = field(default_factory=dict, init=False)

    def count_bytes(self, node: int, label: str, count: int) -> None:
        """Add a message to the bytes of today; a node that no strategy registered counts by the domain that it reported."""
        if label := label or self._reporters.get(node, ""):
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
            self._statements[_key(stream, digest)] = statement

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
        self._roots[node], self._reporters[node] = up.root, claimed
        write_reports(self.identity.folder.path, self.reports)

    def root_of(self, node: int) -> int | None:
        """Return the root version that a node reported last; None before its first reply."""
        return self._roots.get(node)

    def stream_statement(self, stream: Stream, digest: str) -> bytes:
        """Return the statement of a stream's newest version: its domain's, or the server's own, made once."""
        key = _key(stream.name, digest)
        if key not in self._statements:
            link = stream.log.links[-1]
            size = sum(math.prod(spec.shape) * spec.dtype.itemsize for spec in stream.tensors.values())
            self._statements[key] = self._sign(
                stream.name, link.payload, digest, base=link.base or "", size=size, purpose="model"
            )
        return self._statements[key]

    def data_statement(self, name: str, payload: bytes, digest: str, size: int) -> bytes:
        """Sign data of the server's that no stream keeps."""
        return self._sign(f"{DATA}/{name}", payload, digest, size=size, purpose=DATA)

    def down(self, node: int, statements: Mapping[str, bytes], versions: Mapping[str, str]) -> DownTrust:
        """Return what goes into the header of a message.

        Parameters
        ----------
        node : int
            Who gets it.
        statements : mapping of str to bytes
            By record name.
        versions : mapping of str to str
            The digests of the message's streams.
        """
        found = [Statement.from_body(Signed.from_bytes(data).body) for data in statements.values()]
        digests = set(versions.values())
        streams = {one.stream: (one.counter, one.digest) for one in found if one.digest.hex() in digests}
        version = self.root_of(node)
        roots = () if version is None else tuple(self.identity.newer_roots(version))
        return DownTrust(roots, self.identity.sign_newest(streams), dict(statements))

    def to_json(self) -> dict[str, str]:
        """Return what `restore` reads: the statements of streams."""
        return {key: data.hex() for key, data in self._statements.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; values that `to_json` did not write raise `TypeError` or `ValueError`."""
        self._statements = {key: bytes.fromhex(data) for key, data in state.items()}

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


def _key(stream: str, digest: str) -> str:
    return f"{digest} {stream}"


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
