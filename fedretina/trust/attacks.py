"""Refusals, named after the attack that each one stops. A receiver that raises one keeps the version that it has.

Most names are those of The Update Framework (TUF) and of Uptane: https://theupdateframework.github.io/specification/latest/
"""

from fedretina.errors import Untrusted


class Forged(Untrusted):
    """A signature does not match the bytes, or the bytes do not match what was signed: drop the message."""


class UnknownSigner(Untrusted):
    """No key that the city root lists for this role signed the bytes: ask the operator whether a root update is missing."""


class Expired(Untrusted):
    """The signed document is past its date: its signer must sign a new one."""


class Replayed(Untrusted):
    """A genuine document came in the place of another: it belongs to another stream, purpose or recipient."""


class RolledBack(Untrusted):
    """A version older than the newest one accepted from this stream: keep the newest one."""


class Frozen(Untrusted):
    """No fresh word about the newest versions came for too long, or a newer version exists and is withheld."""


class MixAndMatch(Untrusted):
    """The domain and the server name different versions: install only what both name."""


class Endless(Untrusted):
    """The payload is longer than the signed statement says: stop reading it."""


class Unsealed(Untrusted):
    """The payload is not encrypted although this node's policy demands it, or not for this node's key."""


ATTACKS = (Forged, UnknownSigner, Expired, Replayed, RolledBack, Frozen, MixAndMatch, Endless, Unsealed)
"""All refusals, as counted by `fedretina.trust.Verifier` and shown by acknowledgements."""
