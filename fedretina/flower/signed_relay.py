"""Relay of signed versions: the server checks what domains publish, and receivers check what the server relays.

`SignedRelay` and `SignedModels` are `PayloadRelay` and `RelayedModels` with a statement (`fedretina.trust`) beside each
version. Nothing is decoded before its statement is checked. Payloads are not sealed: a node that demands seals refuses them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flwr.app import ConfigRecord, RecordDict

from fedretina.dom import Link, Model, link_of
from fedretina.errors import Corrupt
from fedretina.flower import records
from fedretina.flower.payload_relay import PayloadRelay, RelayedModels, newest_digests, own_version, single_payload
from fedretina.flower.server_trust import ServerTrust
from fedretina.flower.trust import DownTrust, NodeTrust
from fedretina.trust import Forged, Identity, Statement, UnknownSigner

NAME = "fedretina.relay.trust"
"""Name of the record that has the statements."""


class SignedRelay(PayloadRelay):
    """The server's half: refuses a version that its domain did not sign, and relays statements with the payloads.

    What it remembers of versions is in the folder of its identity. A server that reads all replies of a run again must first
    remove ``memory.json`` there, or it takes them for replays.

    Parameters
    ----------
    identity : Identity
        The server's.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from fedretina.dom import DomConfig, ReferenceStore
    >>> from fedretina.trust import SimulatedCity
    >>> city, folder = SimulatedCity(["mill", "port"], seed=0), Path(tempfile.mkdtemp())
    >>> server = SignedRelay(city.identity(folder / "server", "server"))
    >>> mill, port = (
    ...     SignedModels(ReferenceStore(folder / "models" / name), DomConfig(), city.identity(folder / name, name))
    ...     for name in ("mill", "port")
    ... )
    >>> up = mill.publish("mill", {"w": np.ones(99, np.float32)}, server.request("mill", []))
    >>> server.receive("mill", up).number
    1
    >>> port.receive(server.request("port", ["mill"]))["mill"]["w"].shape
    (99,)
    """

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self._trust = ServerTrust(identity)

    def request(self, receiver: str, streams: Sequence[str]) -> RecordDict:
        """Make the content of a message, with the statement of each version and of the receiver's own newest one."""
        return self._with_statements(receiver, super().request(receiver, streams))

    def repeat(self, receiver: str, request: RecordDict) -> RecordDict:
        """Make a request again for a node that lacks a base."""
        return self._with_statements(receiver, super().repeat(receiver, request))

    def receive(self, stream: str, reply: RecordDict) -> Link:
        """Keep the payload of a reply, if the stream's domain signed it.

        Raises
        ------
        Untrusted
            Named after the attack; the version before stays in force.
        Corrupt, Truncated, TooNew, UnknownBase
            As `PayloadRelay.receive`.
        """
        payload = single_payload(stream, reply)
        statement = read_statements(reply).get(stream)
        self._trust.check_reply(stream, stream, link_of(0, payload).digest, payload, statement)
        return super().receive(stream, reply)

    def _with_statements(self, receiver: str, content: RecordDict) -> RecordDict:
        newest, own = newest_digests(content), own_version(content)
        wanted = newest | ({receiver: own} if own else {})
        statements = {stream: self._trust.statements.find(stream, digest) for stream, digest in wanted.items()}
        found = {stream: statement for stream, statement in statements.items() if statement is not None}
        content[NAME] = _record(found, newest=self._trust.sign_newest(found, newest))
        return content


@dataclass(frozen=True)
class SignedModels(RelayedModels):
    """The node's half: decodes only versions that their domains signed, and signs the node's own.

    Parameters
    ----------
    store : ReferenceStore
        The versions on this node.
    config : DomConfig
        How versions are coded.
    identity : Identity
        That of the domain whose messages this node answers.
    """

    identity: Identity

    def receive_sound(self, content: RecordDict) -> tuple[dict[str, Model], dict[str, str]]:
        """Check the statements of a message, then decode its versions.

        Raises
        ------
        Untrusted
            Named after the attack: nothing of the message is decoded.
        UnknownBase
            As `RelayedModels.receive_sound`.
        """
        trust, statements = NodeTrust(self.identity), read_statements(content)
        trust.hear(_down_trust(content))
        checked = {
            stream: trust.check(stream, stream, digest, statements.get(stream), _payloads(stream, content))
            for stream, digest in newest_digests(content).items()
        }
        models, broken = super().receive_sound(content)  # their digests are those that were checked
        for stream in models:
            self.identity.verifier.install(checked[stream], checked[stream].digest)
        return models, broken

    def own(self, content: RecordDict) -> Model | None:
        """Return the receiver's own newest version, if the receiver's domain signed it."""
        if digest := own_version(content):
            self._check_own(digest, content)
        return super().own(content)

    def publish(self, stream: str, model: Model, content: RecordDict) -> RecordDict:
        """Make the next version of a stream, and sign it; its number follows that of the newest statement."""
        reply = super().publish(stream, model, content)
        NodeTrust(self.identity).check_leaving(reply)
        payload = single_payload(stream, reply)
        link, own = link_of(0, payload), own_version(content)
        statement = self.identity.sign(
            payload,
            stream=stream,
            owner=stream,
            digest=bytes.fromhex(link.digest),
            base=bytes.fromhex(link.base or ""),
            size=sum(array.nbytes for array in model.values()),
            after=self._check_own(own, content).counter if own else 0,
        )
        reply[NAME] = _record({stream: statement})
        return reply

    def _check_own(self, digest: str, content: RecordDict) -> Statement:
        (owner,), verifier = self.identity.owners, self.identity.verifier
        data = read_statements(content).get(owner)
        if data is None:
            raise verifier.refuse(UnknownSigner(f"{owner}: the node's own version came without its signature: drop it"))
        found = verifier.check_earlier(data, stream=owner)
        if (signed := found.digest.hex()) != digest:
            raise verifier.refuse(
                Forged(f"{owner}: the message names {digest[:8]} as its own version, signed is {signed[:8]}: drop it")
            )
        return found


def read_statements(content: RecordDict) -> dict[str, bytes]:
    """Return the statements of a message, by stream; none if it has no record of them.

    Raises
    ------
    Corrupt
        If the record cannot be read.
    """
    if NAME not in content.config_records:
        return {}
    record = content.config_records[NAME]
    streams, statements = record.get("streams"), record.get("statements")
    if not isinstance(streams, list) or not isinstance(statements, list) or len(streams) != len(statements):
        raise Corrupt(f"a message's record {NAME!r} has no statement for each stream; send the message again")
    return {str(stream): _bytes(statement) for stream, statement in zip(streams, statements, strict=True)}


def _down_trust(content: RecordDict) -> DownTrust | None:
    if NAME not in content.config_records:
        return None
    return DownTrust((), _bytes(content.config_records[NAME].get("newest")), read_statements(content))


def _record(statements: Mapping[str, bytes], *, newest: bytes = b"") -> ConfigRecord:
    return ConfigRecord({"newest": newest, "streams": list(statements), "statements": list(statements.values())})


def _payloads(stream: str, content: RecordDict) -> Sequence[bytes]:
    return records.unpack(content.array_records[stream]) if stream in content.array_records else ()


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise Corrupt(f"a message's record {NAME!r} has {value!r:.40} in the place of a statement; send the message again")
    return value
