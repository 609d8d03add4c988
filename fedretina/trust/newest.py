"""The server's word about the newest version of each stream. Its short life shows when nothing new arrives any more.

It is TUF's timestamp and Uptane's director in one: a domain says what exists, the server says what to install. A receiver
installs only what both name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from fedretina.trust.document import pack, read_versions, unpack
from fedretina.trust.keys import SigningKey
from fedretina.trust.signed import Signed

TYPE = "fedretina/newest"
_FIELDS = {"counter": int, "created": int, "streams": dict}


@dataclass(frozen=True)
class Newest:
    """The newest version of each stream.

    Parameters
    ----------
    counter : int
        Counts these documents; a receiver takes none with a lower counter.
    created : int
        Seconds since 1970 (UTC). The receiver's policy says how old is too old.
    streams : mapping of str to (int, bytes)
        Counter and digest of each stream's newest version.
    """

    counter: int
    created: int
    streams: Mapping[str, tuple[int, bytes]]

    def sign(self, keys: Iterable[SigningKey]) -> bytes:
        """Return the signed document, as it travels."""
        body = pack(
            {"counter": self.counter, "created": self.created, "streams": {k: list(v) for k, v in self.streams.items()}}
        )
        return Signed.by(keys, TYPE, body).to_bytes()

    @classmethod
    def from_body(cls, body: bytes) -> Self:
        """Read a body; whether it is signed is asked elsewhere.

        Raises
        ------
        Corrupt
            If the bytes are no such document.
        """
        found = unpack(body, _FIELDS, "a list of newest versions")
        streams = read_versions(found["streams"], "a list of newest versions")
        return cls(found["counter"], found["created"], streams)
