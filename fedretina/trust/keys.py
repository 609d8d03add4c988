"""Keys that sign: Ed25519, ML-DSA-65, or both beside each other. `sealing_keys` has those that open sealed payloads.

Private keys are made on the machine that uses them and never leave it. Algorithms: RFC 8032, FIPS 204, RFC 7748 and
draft-ietf-hpke-pq (X25519 with ML-KEM-768), all by the package `cryptography`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from fedretina import atomic
from fedretina.errors import BadArgument, Corrupt

Algorithm = Literal["ed25519", "ml-dsa-65"]
_PRIVATE: dict[str, type[Ed25519PrivateKey] | type[MLDSA65PrivateKey]] = {
    "ed25519": Ed25519PrivateKey,
    "ml-dsa-65": MLDSA65PrivateKey,
}
_PEM_BEGIN = b"-----BEGIN "
_PUBLIC: dict[str, type[Ed25519PublicKey] | type[MLDSA65PublicKey]] = {
    "ed25519": Ed25519PublicKey,
    "ml-dsa-65": MLDSA65PublicKey,
}


@dataclass(frozen=True)
class VerifyKey:
    """The public half of a `SigningKey`.

    Parameters
    ----------
    algorithm : {"ed25519", "ml-dsa-65"}
        The signature's algorithm.
    raw : bytes
        The key: 32 bytes (Ed25519) or 1,952 bytes (ML-DSA-65).
    """

    algorithm: str
    raw: bytes

    @property
    def id(self) -> str:
        """The key's name: the first 32 hex digits of SHA-256 over algorithm and key."""
        return key_id(self.algorithm, self.raw)

    def is_signature(self, signature: bytes, message: bytes) -> bool:
        """Return whether this key made the signature over the message."""
        try:
            _PUBLIC[self.algorithm].from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def check(self) -> None:
        """Raise `Corrupt` if this is no key."""
        if self.algorithm not in _PUBLIC:
            raise Corrupt(f"a key has the algorithm {self.algorithm!r}; {' and '.join(_PUBLIC)} are allowed: drop it")
        try:
            _PUBLIC[self.algorithm].from_public_bytes(self.raw)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Corrupt(f"{len(self.raw)} bytes are no public key of {self.algorithm}: drop it") from error


class SigningKey:
    """A private key that signs.

    Examples
    --------
    >>> key = SigningKey.generate()
    >>> key.public.is_signature(key.sign(b"text"), b"text"), key.public.is_signature(key.sign(b"text"), b"other")
    (True, False)
    """

    def __init__(self, private: Ed25519PrivateKey | MLDSA65PrivateKey) -> None:
        self._private = private
        algorithm = "ed25519" if isinstance(private, Ed25519PrivateKey) else "ml-dsa-65"
        self.public = VerifyKey(algorithm, private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, algorithm: Algorithm = "ed25519") -> Self:
        """Make a new key from the operating system's random numbers."""
        if algorithm not in _PRIVATE:
            raise BadArgument(f"the algorithm {algorithm!r} is not known; give one of {', '.join(_PRIVATE)}")
        return cls(_PRIVATE[algorithm].generate())

    def sign(self, message: bytes) -> bytes:
        """Return the signature over a message: 64 bytes (Ed25519) or 3,309 bytes (ML-DSA-65)."""
        return self._private.sign(message)

    def save(self, path: Path) -> None:
        """Write the key as PEM (PKCS 8, not encrypted), readable by its owner only."""
        save_signing_keys(path, [self])

    def to_pem(self) -> bytes:
        """Return the key as PEM (PKCS 8, not encrypted)."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key that `save` wrote.

        Raises
        ------
        BadArgument
            If the file is missing or holds no such key.
        """
        keys = load_private(path)
        if len(keys) != 1 or not isinstance(keys[0], Ed25519PrivateKey | MLDSA65PrivateKey):
            raise BadArgument(f"{path} holds no key that signs; one of Ed25519 or ML-DSA-65 is allowed: name another file")
        return cls(keys[0])


def save_signing_keys(path: Path, keys: Sequence[SigningKey]) -> None:
    """Write the keys that sign for one owner into one file, as PEM blocks, readable by its owner only."""
    atomic.write_bytes(path, b"".join(key.to_pem() for key in keys), durable=True, private=True)


def load_signing_keys(path: Path) -> list[SigningKey]:
    """Read the keys that sign for one owner.

    Raises
    ------
    BadArgument
        If the file is missing or holds no such keys.
    """
    keys = load_private(path)
    signing = [key for key in keys if isinstance(key, Ed25519PrivateKey | MLDSA65PrivateKey)]
    if not keys or len(signing) < len(keys):
        raise BadArgument(f"{path} holds no keys that sign; Ed25519 and ML-DSA-65 are allowed: name another file")
    return [SigningKey(key) for key in signing]


def key_id(algorithm: str, raw: bytes) -> str:
    """Return the name of a public key: the first 32 hex digits of SHA-256 over algorithm and key."""
    return hashlib.sha256(algorithm.encode() + b"\0" + raw).hexdigest()[:32]


def load_private(path: Path) -> list[object]:
    """Read the private keys of a PEM file.

    Raises
    ------
    BadArgument
        If the file is missing or holds something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadArgument(
            f"the key file {path} cannot be read ({error.strerror}): check its name and permissions"
        ) from error
    blocks = data.split(_PEM_BEGIN)[1:]
    try:
        return [load_pem_private_key(_PEM_BEGIN + block, None) for block in blocks]
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadArgument(f"{path} holds no private key in PEM form without a password: restore it from a backup") from error
