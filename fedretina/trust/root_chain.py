"""How a node comes to trust a city root: it pins the first, and follows signatures from there.

People compare the first root's fingerprint by voice. Each later root N + 1 must be signed by enough keys of root N and by
enough of its own (TUF 5.3, https://theupdateframework.github.io/specification/latest/#update-root).
"""

import hashlib
import hmac
from collections.abc import Iterable

from fedretina.trust.attacks import Expired, Forged, Replayed, RolledBack
from fedretina.trust.root import TYPE, CityRoot
from fedretina.trust.signed import Signed


def fingerprint(body: bytes) -> str:
    """Return SHA-256 of a root's bytes in eight groups of four hex digits, to be read aloud (128 bits).

    Examples
    --------
    >>> fingerprint(b"")
    'e3b0 c442 98fc 1c14 9afb f4c8 996f b924'
    """
    digits = hashlib.sha256(body).hexdigest()[:32]
    return " ".join(digits[i : i + 4] for i in range(0, 32, 4))


def pin(data: bytes, expected: str) -> CityRoot:
    """Read the first root that a node trusts.

    Parameters
    ----------
    data : bytes
        The signed root.
    expected : str
        Its fingerprint, got by another way than the root: by voice, on paper. Case and spaces do not matter.

    Raises
    ------
    Forged
        If the fingerprint differs.
    UnknownSigner, Corrupt
        If too few of its own keys signed it, or it is no root.
    """
    signed = Signed.from_bytes(data)
    found = fingerprint(signed.body)
    if not hmac.compare_digest(_digits(found), _digits(expected)):
        raise Forged(f"the city root has the fingerprint {found}, not {expected}: ask the operator for the right file")
    root = CityRoot.from_bytes(signed.body)
    _require(signed, root)
    return root


def update(root: CityRoot, newer: Iterable[bytes], now: float) -> CityRoot:
    """Follow a chain of roots from a trusted one to the newest.

    Parameters
    ----------
    root : CityRoot
        The newest root that is trusted here.
    newer : iterable of bytes
        Signed roots with the versions that follow, in order. Those up to the trusted version are passed over.
    now : float
        The time, in seconds since 1970. Only the last root must not be expired.

    Raises
    ------
    RolledBack
        If a version is missing in between.
    UnknownSigner, Forged
        If a root is not signed by enough keys of the root before, or by enough of its own.
    Expired
        If the last root is past its date.
    """
    for data in newer:
        signed = Signed.from_bytes(data)
        candidate = CityRoot.from_bytes(signed.body)
        if candidate.version <= root.version:
            continue
        if candidate.version != root.version + 1 or candidate.city != root.city:
            raise RolledBack(
                f"root {candidate.version} of {candidate.city!r} follows root {root.version} of {root.city!r}; "
                f"root {root.version + 1} is allowed: ask the operator for the roots in between"
            )
        _require(signed, root)
        _require(signed, candidate)
        root = candidate
    if root.expires <= now:
        raise Expired(f"root {root.version} of {root.city!r} is past its date: the operator must sign a new one")
    return root


def _require(signed: Signed, root: CityRoot) -> None:
    if signed.type != TYPE:
        raise Replayed(f"a {signed.type} came in the place of a {TYPE}: drop it")
    signed.require(root.keys_of(root.root), root.root.threshold)


def _digits(text: str) -> bytes:
    return "".join(text.split()).lower().encode()
