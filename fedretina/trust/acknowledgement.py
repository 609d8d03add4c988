"""What a node signs after it installed a version: Uptane's version report. A server cannot invent it.

It tells the digest that the node holds, and how many attacks the node refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

from fedretina.errors import Corrupt
from fedretina.trust.document import pack, read_versions, unpack
from fedretina.trust.keys import SigningKey
from fedretina.trust.signed import Signed

TYPE = "fedretina/acknowledgement"
_FIELDS = {"domain": str, "held": dict, "root": int, "created": int, "attacks": dict, "release": str}


@dataclass(frozen=True)
class Acknowledgement:
    """A node's report.

    Parameters
    ----------
    domain : str
        Whose key signs it.
    held : mapping of str to (int, bytes)
        By stream: counter and digest of the newest version that the node installed.
    root : int
        The version of the city root that the node trusts.
    created : int
        Seconds since 1970 (UTC).
    attacks : mapping of str to int
        How often each refusal happened since the node joined, by its name: ``{"RolledBack": 1}``.
    release : str
        The versions of the packages that the node runs.
    """

    domain: str
    held: Mapping[str, tuple[int, bytes]]
    root: int
    created: int
    attacks: Mapping[str, int] = field(default_factory=dict)
    release: str = ""

    def sign(self, keys: Iterable[SigningKey]) -> bytes:
        """Return the signed acknowledgement, as it travels."""
        held = {stream: list(version) for stream, version in self.held.items()}
        return Signed.by(keys, TYPE, pack({**asdict(self), "held": held})).to_bytes()

    @classmethod
    def from_body(cls, body: bytes) -> Self:
        """Read a body; whether it is signed is asked elsewhere.

        Raises
        ------
        Corrupt
            If the bytes are no acknowledgement.
        """
        found = unpack(body, _FIELDS, "an acknowledgement")
        if not all(isinstance(k, str) and isinstance(v, int) for k, v in found["attacks"].items()):
            raise Corrupt("an acknowledgement counts attacks by something else than names and numbers: drop it")
        return cls(**{**found, "held": read_versions(found["held"], "an acknowledgement")})
