"""What a node signs after it installed a version: Uptane's version report. A server cannot invent it.

It tells the digest that the node holds, and how many attacks the node refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

from fedretina.errors import Corrupt
from fedretina.trust.document import pack, unpack
from fedretina.trust.keys import SigningKey
from fedretina.trust.signed import Signed

TYPE = "fedretina/acknowledgement"
_FIELDS = {"domain": str, "stream": str, "counter": int, "digest": bytes, "created": int, "attacks": dict}


@dataclass(frozen=True)
class Acknowledgement:
    """A node's report.

    Parameters
    ----------
    domain : str
        Whose key signs it.
    stream : str
        The stream that it is about.
    counter : int
        The newest version of the stream that the node holds.
    digest : bytes
        That version's digest.
    created : int
        Seconds since 1970 (UTC).
    attacks : mapping of str to int
        How often each refusal happened since the node joined, by its name: ``{"RolledBack": 1}``.
    """

    domain: str
    stream: str
    counter: int
    digest: bytes
    created: int
    attacks: Mapping[str, int] = field(default_factory=dict)

    def sign(self, keys: Iterable[SigningKey]) -> bytes:
        """Return the signed acknowledgement, as it travels."""
        return Signed.by(keys, TYPE, pack(asdict(self))).to_bytes()

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
        return cls(**found)
