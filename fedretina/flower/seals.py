"""What headers say of sealed payloads: the wrapped keys, and who is to receive them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MAX_STANZA_BYTES = 4096  # HPKE with X25519 and ML-KEM-768 takes 1,168 bytes


@dataclass(frozen=True)
class DownSeal:
    """What a node needs to open the sealed payloads of a record.

    Parameters
    ----------
    stanzas : tuple of bytes
        For each payload in order: the wrapped key, for a key of this node.
    earlier : tuple of bytes
        The signed statements of all payloads but the last. That of the last stands with the other statements.
    """

    stanzas: tuple[bytes, ...]
    earlier: tuple[bytes, ...] = ()

    def to_list(self) -> list[list[bytes]]:
        """Return what `from_list` reads."""
        return [list(self.stanzas), list(self.earlier)]

    @classmethod
    def from_list(cls, entry: Any) -> "DownSeal":
        """Read a header's entry; `TypeError` or `ValueError` if it is none."""
        stanzas, earlier = entry
        return cls(tuple(map(_read_stanza, stanzas)), tuple(map(_read_bytes, earlier)))


@dataclass(frozen=True)
class UpSeal:
    """What the maker says of a sealed payload.

    Parameters
    ----------
    stanzas : mapping of str to bytes
        The wrapped key for each recipient, by the identifier of the recipient's key.
    plain : tuple of int
        The model's size as plain Flower would send it, down and up, in bytes. The server cannot measure it.
    """

    stanzas: Mapping[str, bytes]
    plain: tuple[int, int]

    def to_list(self) -> list[Any]:
        """Return what `from_list` reads."""
        return [dict(self.stanzas), list(self.plain)]

    @classmethod
    def from_list(cls, entry: Any) -> "UpSeal":
        """Read a header's entry; `TypeError` or `ValueError` if it is none."""
        stanzas, (down, up) = entry
        if not isinstance(stanzas, dict) or not all(isinstance(key, str) for key in stanzas):
            raise TypeError(f"{stanzas!r:.40} are no wrapped keys by recipient")
        if not all(type(size) is int and 0 <= size < 2**63 for size in (down, up)):
            raise TypeError(f"{(down, up)!r:.40} are no sizes")
        return cls({key: _read_stanza(stanza) for key, stanza in stanzas.items()}, (down, up))


def read_seals(entry: Any, kind: type[Any]) -> dict[str, Any]:
    """Read `DownSeal` or `UpSeal` by record name; `TypeError` or `ValueError` if an entry is none."""
    if not isinstance(entry, dict) or not all(isinstance(name, str) for name in entry):
        raise TypeError(f"{entry!r:.40} are no seals by record")
    return {name: kind.from_list(value) for name, value in entry.items()}


def read_recipients(entry: Any) -> dict[str, tuple[str, ...]] | None:
    """Read the recipients by stream; None without sealing; `TypeError` if it is something else."""
    if entry is None:
        return None
    if not isinstance(entry, dict) or not all(isinstance(names, list) for names in entry.values()):
        raise TypeError(f"{entry!r:.40} are no recipients by stream")
    if not all(isinstance(name, str) for stream, names in entry.items() for name in (stream, *names)):
        raise TypeError(f"{entry!r:.40} are no recipients by stream")
    return {stream: tuple(names) for stream, names in entry.items()}


def _read_stanza(value: object) -> bytes:
    stanza = _read_bytes(value)
    if len(stanza) > _MAX_STANZA_BYTES:
        raise ValueError(f"a wrapped key has {len(stanza)} bytes, {_MAX_STANZA_BYTES} are allowed")
    return stanza


def _read_bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"{value!r:.40} are no bytes")
    return value
