"""Sealing: the payload is encrypted once, and its key is wrapped for each recipient (HPKE, RFC 9180).

The body is cut into chunks, each encrypted and authenticated by ChaCha20-Poly1305. A chunk's nonce holds its number, and
whether it is the last: a body that is cut, extended or reordered does not open. This is the STREAM construction
(https://eprint.iacr.org/2015/189), as age has it. The key is fresh for each body, so nonces never
repeat. Sign first, then seal.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from fedretina.errors import Truncated
from fedretina.trust.attacks import Endless, Forged, Unsealed
from fedretina.trust.sealing_keys import RecipientKey, SealingKey

MAGIC = b"FRS1"
CHUNK = 1 << 20
"""Bytes of a chunk before encryption. One call of the cipher takes at most 2^31 - 1 bytes."""
_TAG = 16
_KEY_BYTES = 32


@dataclass(frozen=True)
class Sealed:
    """A sealed payload.

    Parameters
    ----------
    body : bytes
        What all recipients get: `MAGIC` and the encrypted chunks.
    stanzas : mapping of str to bytes
        The wrapped key for each recipient, by the identifier of its key. A relay sends a recipient only its own.
    """

    body: bytes
    stanzas: Mapping[str, bytes]


def seal(payload: bytes, recipients: Iterable[RecipientKey], statement: bytes) -> Sealed:
    """Encrypt a payload for recipients.

    Parameters
    ----------
    payload : bytes
        What only they may read.
    recipients : iterable of RecipientKey
        Who may read it. The maker is a recipient too if it wants to read the payload later.
    statement : bytes
        The signed statement. The payload opens only beside the same bytes.

    Examples
    --------
    >>> key = SealingKey.generate()
    >>> sealed = seal(b"weights", [key.public], b"statement")
    >>> open_sealed(sealed.body, sealed.stanzas[key.public.id], key, b"statement", length=7)
    b'weights'
    """
    key = secrets.token_bytes(_KEY_BYTES)
    cipher = ChaCha20Poly1305(key)
    view = memoryview(payload)
    starts = range(0, max(len(payload), 1), CHUNK)
    chunks = [cipher.encrypt(_nonce(n, n == len(starts) - 1), view[at : at + CHUNK], None) for n, at in enumerate(starts)]
    return Sealed(b"".join([MAGIC, *chunks]), {r.id: r.wrap(key, statement) for r in recipients})


def sealed_length(length: int) -> int:
    """Return how long the sealed body of a payload of `length` bytes is.

    Examples
    --------
    >>> sealed_length(7) == len(seal(b"weights", [], b"").body)
    True
    """
    return len(MAGIC) + length + _TAG * len(range(0, max(length, 1), CHUNK))


def open_sealed(body: bytes, stanza: bytes, key: SealingKey, statement: bytes, *, length: int) -> bytes:
    """Return the payload.

    Parameters
    ----------
    body, stanza : bytes
        What `seal` made, and the stanza for `key`.
    key : SealingKey
        The recipient's private key.
    statement : bytes
        The signed statement beside which the payload was sealed.
    length : int
        The payload's length by the statement.

    Raises
    ------
    Unsealed
        If the payload is not sealed, or for another key or statement.
    Endless, Truncated
        If the body is longer or shorter than it must be.
    Forged
        If the body was changed.
    """
    if not is_sealed(body):
        raise Unsealed("the payload is not sealed, and this node takes only sealed ones: ask the sender to seal it")
    expected = sealed_length(length)
    if len(body) > expected:
        raise Endless(f"the sealed payload has {len(body)} bytes, its statement allows {expected}: drop it")
    if len(body) < expected:
        raise Truncated(f"the sealed payload ends after {len(body)} of {expected} bytes: drop it")
    cipher = ChaCha20Poly1305(_check_key(key.unwrap(stanza, statement)))
    view = memoryview(body)[len(MAGIC) :]
    starts = range(0, len(view), CHUNK + _TAG)
    try:
        chunks = [
            cipher.decrypt(_nonce(n, n == len(starts) - 1), view[a : a + CHUNK + _TAG], None) for n, a in enumerate(starts)
        ]
    except InvalidTag as error:
        raise Forged("the sealed payload was changed on its way: drop it") from error
    return b"".join(chunks)


def is_sealed(body: bytes) -> bool:
    """Return whether bytes begin as a sealed body does."""
    return body[: len(MAGIC)] == MAGIC


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _check_key(key: bytes) -> bytes:
    if len(key) != _KEY_BYTES:
        raise Forged(f"the payload's key has {len(key)} bytes; {_KEY_BYTES} are expected: drop the payload")
    return key
