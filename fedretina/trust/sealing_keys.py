"""Keys to receive sealed payloads with: X25519, or X25519 with ML-KEM-768, which also resists quantum computers."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fedretina import atomic
from fedretina.errors import BadArgument, Corrupt
from fedretina.trust.attacks import Unsealed
from fedretina.trust.keys import load_private

Kem = Literal["x25519", "x25519-ml-kem-768"]
_X25519_BYTES = 32
_SUITES = {
    "x25519": hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305),
    "x25519-ml-kem-768": hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305),
}


@dataclass(frozen=True)
class RecipientKey:
    """The public half of a `SealingKey`.

    Parameters
    ----------
    kem : {"x25519", "x25519-ml-kem-768"}
        How a key is wrapped for this recipient (HPKE, RFC 9180, mode Base).
    raw : bytes
        The key: 32 bytes, or 1,184 + 32 bytes.
    """

    kem: str
    raw: bytes

    @property
    def id(self) -> str:
        """The key's name: the first 32 hex digits of SHA-256 over its kind and bytes."""
        return hashlib.sha256(self.kem.encode() + b"\0" + self.raw).hexdigest()[:32]

    def wrap(self, key: bytes, info: bytes) -> bytes:
        """Encrypt a short key for this recipient; it opens only beside the same `info`. X25519 adds 48 bytes."""
        return _SUITES[self.kem].encrypt(key, self._public(), info)

    def check(self) -> None:
        """Raise `Corrupt` if this is no key."""
        if self.kem not in _SUITES:
            raise Corrupt(f"a recipient's key has the kind {self.kem!r}; {' and '.join(_SUITES)} are allowed: drop it")
        try:
            self._public()
        except ValueError as error:
            raise Corrupt(f"{len(self.raw)} bytes are no public key of {self.kem}: drop it") from error

    def _public(self) -> X25519PublicKey | hpke.MLKEM768X25519PublicKey:
        point = X25519PublicKey.from_public_bytes(self.raw[-_X25519_BYTES:])
        if self.kem == "x25519":
            return X25519PublicKey.from_public_bytes(self.raw)
        return hpke.MLKEM768X25519PublicKey(MLKEM768PublicKey.from_public_bytes(self.raw[:-_X25519_BYTES]), point)


class SealingKey:
    """A private key that opens what was sealed for it.

    Examples
    --------
    >>> key = SealingKey.generate()
    >>> key.unwrap(key.public.wrap(b"secret", b"statement"), b"statement")
    b'secret'
    """

    def __init__(self, x25519: X25519PrivateKey, ml_kem: MLKEM768PrivateKey | None = None) -> None:
        self._parts = (x25519, ml_kem)
        point = x25519.public_key().public_bytes_raw()
        if ml_kem is None:
            self.public = RecipientKey("x25519", point)
        else:
            self.public = RecipientKey("x25519-ml-kem-768", ml_kem.public_key().public_bytes_raw() + point)

    @classmethod
    def generate(cls, kem: Kem = "x25519") -> Self:
        """Make a new key from the operating system's random numbers."""
        if kem not in _SUITES:
            raise BadArgument(f"the key kind {kem!r} is not known; give one of {', '.join(_SUITES)}")
        return cls(X25519PrivateKey.generate(), None if kem == "x25519" else MLKEM768PrivateKey.generate())

    def unwrap(self, wrapped: bytes, info: bytes) -> bytes:
        """Return the key that `RecipientKey.wrap` encrypted.

        Raises
        ------
        Unsealed
            If it was wrapped for another key, beside another `info`, or is damaged.
        """
        x25519, ml_kem = self._parts
        private = x25519 if ml_kem is None else hpke.MLKEM768X25519PrivateKey(ml_kem, x25519)
        try:
            return _SUITES[self.public.kem].decrypt(wrapped, private, info)
        except (InvalidTag, ValueError) as error:
            raise Unsealed(
                f"the payload's key does not open with the key {self.public.id[:8]} of this node: "
                "it was sealed for another recipient or another statement; ask the sender to seal it anew"
            ) from error

    def save(self, path: Path) -> None:
        """Write the key as one or two PEM blocks (PKCS 8, not encrypted), readable by its owner only."""
        blocks = [k.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for k in self._parts if k is not None]
        atomic.write_bytes(path, b"".join(blocks), durable=True, private=True)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key that `save` wrote.

        Raises
        ------
        BadArgument
            If the file is missing or holds no such key.
        """
        keys = load_private(path)
        if len(keys) in (1, 2) and isinstance(keys[0], X25519PrivateKey):
            if len(keys) == 1:
                return cls(keys[0])
            if isinstance(keys[1], MLKEM768PrivateKey):
                return cls(keys[0], keys[1])
        raise BadArgument(f"{path} holds no X25519 key, alone or with ML-KEM-768, to open payloads with: name another file")
