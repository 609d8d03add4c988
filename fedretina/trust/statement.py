"""What a domain signs of each version that it publishes.

A statement belongs to a stream, not to a run: streams outlive runs.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from fedretina.trust.attacks import Endless, Forged
from fedretina.trust.document import pack, unpack
from fedretina.trust.keys import SigningKey
from fedretina.trust.signed import Signed

TYPE = "fedretina/version"
FORMAT = 1
_ROUTE_OVERHEAD = 65_536  # bytes: a lossless payload has a header beside the tensors
_FIELDS = {
    "format": int,
    "stream": str,
    "counter": int,
    "digest": bytes,
    "base": bytes,
    "length": int,
    "payload": bytes,
    "size": int,
    "created": int,
    "expires": int,
    "purpose": str,
}


@dataclass(frozen=True)
class Statement:
    """A signed sentence: "version `counter` of this stream has this digest".

    Parameters
    ----------
    stream : str
        The stream, as the domain names it: ``"duke/reuse"``.
    counter : int
        The version's number in its stream, from 1. It never goes back, over all runs.
    digest : bytes
        BLAKE3 of the version's tensors (`fedretina.dom.digest`).
    base : bytes
        The digest that the payload builds on; empty for a keyframe.
    length : int
        The payload's length in bytes. A receiver reads no more.
    payload : bytes
        SHA-256 of the payload. A receiver that gets other bytes does not parse them.
    size : int
        The version's size in memory, in bytes. No way to the version is longer, and none decodes to more.
    created, expires : int
        Seconds since 1970 (UTC).
    purpose : str
        What the model is for, such as ``"model"``; a receiver asks for one purpose.
    format : int, default 1
        The statement's format.
    """

    stream: str
    counter: int
    digest: bytes
    base: bytes
    length: int
    payload: bytes
    size: int
    created: int
    expires: int
    purpose: str = "model"
    format: int = FORMAT

    def check_payload(self, payload: bytes) -> None:
        """Check the maker's payload before anything parses it.

        Raises
        ------
        Endless
            If it is longer than stated.
        Forged
            If it has other bytes.
        """
        if len(payload) > self.length:
            raise Endless(f"{self.stream}: the payload has {len(payload)} bytes, {self.length} are stated: drop it")
        if payload_hash(payload) != self.payload:
            raise Forged(f"{self.stream}: the payload is not the one that was signed for version {self.counter}: drop it")

    def check_route(self, payloads: Sequence[bytes]) -> None:
        """Check the lengths of payloads that lead to the version; what they lead to is checked after decoding.

        Raises
        ------
        Endless
            If one is longer than the maker's payload and than the version itself.
        """
        limit = max(self.length, self.size + _ROUTE_OVERHEAD)
        for payload in payloads:
            if len(payload) > limit:
                raise Endless(f"{self.stream}: a payload has {len(payload)} bytes, {limit} are allowed: drop it")

    def sign(self, keys: Iterable[SigningKey]) -> bytes:
        """Return the signed statement, as it travels. With Ed25519 it has about 400 bytes."""
        return Signed.by(keys, TYPE, pack(asdict(self))).to_bytes()

    @classmethod
    def from_body(cls, body: bytes) -> Self:
        """Read a statement's body; whether it is signed is asked elsewhere.

        Raises
        ------
        Corrupt
            If the bytes are no statement.
        """
        return cls(**unpack(body, _FIELDS, "a statement"))


def payload_hash(payload: bytes) -> bytes:
    """Return SHA-256 of a payload's bytes."""
    return hashlib.sha256(payload).digest()
