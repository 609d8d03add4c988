"""What a domain signs of each version that it publishes.

A statement belongs to a stream, not to a run: streams outlive runs.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Self

from fedretina.errors import BadArgument
from fedretina.trust.document import pack, unpack
from fedretina.trust.keys import SigningKey
from fedretina.trust.signed import Signed

TYPE = "fedretina/version"
FORMAT = 1
_FIELDS = {
    "format": int,
    "stream": str,
    "counter": int,
    "digest": bytes,
    "base": bytes,
    "length": int,
    "payload": bytes,
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
    created: int
    expires: int
    purpose: str = "model"
    format: int = FORMAT

    @classmethod
    def of(
        cls,
        payload: bytes,
        *,
        stream: str,
        counter: int,
        digest: bytes,
        base: bytes = b"",
        created: float,
        lifetime_s: float,
    ) -> Self:
        """Describe a payload.

        Raises
        ------
        BadArgument
            If the counter is not positive, or the lifetime is not.
        """
        if counter < 1 or lifetime_s <= 0:
            raise BadArgument(f"counter {counter}, lifetime {lifetime_s} s: both must be positive")
        expires = int(created + lifetime_s)
        return cls(stream, counter, digest, base, len(payload), payload_hash(payload), int(created), expires)

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
