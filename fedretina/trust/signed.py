"""Signatures over the bytes that travel, by DSSE.

https://github.com/secure-systems-lab/dsse/blob/master/protocol.md

What is signed is the pre-authentication encoding of a type and a body, so that no signature over one kind of document
serves for another. A reader checks the bytes as they came, and parses them afterwards.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from fedretina.errors import Corrupt
from fedretina.trust.attacks import Forged, UnknownSigner
from fedretina.trust.document import pack, unpack
from fedretina.trust.keys import SigningKey, VerifyKey

MAX_SIGNATURES = 64
_FIELDS = {"type": str, "body": bytes, "signatures": dict}


@dataclass(frozen=True)
class Signed:
    """A document with signatures.

    Parameters
    ----------
    type : str
        What the document is, such as ``"fedretina/root"``.
    body : bytes
        The document.
    signatures : mapping of str to bytes
        Signatures by the identifiers of their keys.

    Examples
    --------
    >>> key = SigningKey.generate()
    >>> signed = Signed.by([key], "example", b"body")
    >>> Signed.from_bytes(signed.to_bytes()).require({key.public.id: key.public}, 1)
    b'body'
    """

    type: str
    body: bytes
    signatures: Mapping[str, bytes]

    @classmethod
    def by(cls, keys: Iterable[SigningKey], type_: str, body: bytes) -> Self:
        """Sign a document by each of the keys."""
        message = encode_for_signing(type_, body)
        return cls(type_, body, {key.public.id: key.sign(message) for key in keys})

    def to_bytes(self) -> bytes:
        """Return what travels."""
        return pack({"type": self.type, "body": self.body, "signatures": dict(self.signatures)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote, without belief in it.

        Raises
        ------
        Corrupt
            If the bytes are no signed document.
        """
        found = unpack(data, _FIELDS, "a signed document")
        signatures = found["signatures"]
        if len(signatures) > MAX_SIGNATURES:
            raise Corrupt(
                f"a signed document has {len(signatures)} signatures; at most {MAX_SIGNATURES} are allowed: drop it"
            )
        if not all(isinstance(k, str) and isinstance(v, bytes) for k, v in signatures.items()):
            raise Corrupt("a signed document has a signature that is no pair of a key's identifier and bytes: drop it")
        return cls(found["type"], found["body"], signatures)

    def require(self, keys: Mapping[str, VerifyKey], threshold: int) -> bytes:
        """Return the body if enough of the keys signed it.

        Parameters
        ----------
        keys : mapping of str to VerifyKey
            The keys of the role that must have signed, by identifier.
        threshold : int
            How many of them must have signed. One key counts once.

        Raises
        ------
        UnknownSigner
            If too few of the keys signed.
        Forged
            If too few of the signatures are right.
        """
        present = [key for key in keys if key in self.signatures]
        if len(present) < threshold:
            raise UnknownSigner(
                f"{self.type}: {len(present)} of the {len(keys)} known keys signed, {threshold} must; "
                f"signed by {', '.join(sorted(k[:8] for k in self.signatures)) or 'nobody'}: refuse it"
            )
        message = encode_for_signing(self.type, self.body)
        right = [key for key in present if keys[key].is_signature(self.signatures[key], message)]
        if len(right) < threshold:
            wrong = ", ".join(sorted(key[:8] for key in set(present) - set(right)))
            raise Forged(f"{self.type}: the signature of {wrong} does not match the bytes: refuse it")
        return self.body


def encode_for_signing(type_: str, body: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding.

    Examples
    --------
    >>> encode_for_signing("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    name = type_.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(body), body)
