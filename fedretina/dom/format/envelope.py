"""The envelope of a payload: magic, version, flags, lengths, check sum, digests, metadata; see docs/reference/format.md."""

import struct
from dataclasses import dataclass

from blake3 import blake3

from fedretina.errors import BadArgument, Corrupt, TooNew, Truncated, UnknownBase

MAGIC = b"FDOM"
FORMAT_VERSION = 2  # the newest that is read; what needs nothing of it is written as version 1
MAX_HEADER_BYTES = 2**24
MAX_METADATA_BYTES = 2**20
DIGEST_BYTES = 32
_CHECK_BYTES = 16
_LENGTHS = struct.Struct("<4sBBIQ")  # magic, version, flags, header's length, body's length
_METADATA_LENGTH = struct.Struct("<I")
_HAS_BASE, _LATTICE, _LOSSLESS, _HAS_METADATA = 1, 2, 4, 8
_KNOWN_FLAGS = {1: _HAS_BASE | _LATTICE | _LOSSLESS, 2: _HAS_BASE | _LATTICE | _LOSSLESS | _HAS_METADATA}


@dataclass(frozen=True)
class Envelope:
    """A payload taken apart; its check sum is right.

    `metadata` is empty, or what `fedretina.dom.format.metadata` packs: only version 2 has it.
    """

    result: bytes
    base: bytes | None
    header: bytes
    body: bytes
    lattice: bool
    lossless: bool
    metadata: bytes = b""
    version: int = 1

    @property
    def is_finite(self) -> bool:
        """Whether every float must be finite: only lossless payloads of version 2 hold NaN and infinity."""
        return self.version == 1 or not self.lossless


def write_envelope(envelope: Envelope) -> bytes:
    """Return the payload."""
    flags = _flags(envelope)
    assert not flags & ~_KNOWN_FLAGS[envelope.version], "metadata needs version 2"
    if len(envelope.header) > MAX_HEADER_BYTES:
        raise BadArgument(
            f"the header takes {len(envelope.header)} bytes; allowed: at most {MAX_HEADER_BYTES}; shorten names"
        )
    if len(envelope.metadata) > MAX_METADATA_BYTES:
        raise BadArgument(
            f"the metadata takes {len(envelope.metadata)} bytes; allowed: at most {MAX_METADATA_BYTES}; shorten it"
        )
    lengths = _LENGTHS.pack(MAGIC, envelope.version, flags, len(envelope.header), len(envelope.body))
    metadata = _METADATA_LENGTH.pack(len(envelope.metadata)) + envelope.metadata if envelope.metadata else b""
    rest = b"".join([envelope.result, envelope.base or b"", metadata, envelope.header, envelope.body])
    return b"".join([lengths, _check_sum(lengths, rest), rest])


def _flags(envelope: Envelope) -> int:
    flags = {
        _HAS_BASE: envelope.base is not None,
        _LATTICE: envelope.lattice,
        _LOSSLESS: envelope.lossless,
        _HAS_METADATA: bool(envelope.metadata),
    }
    return sum(flag for flag, is_set in flags.items() if is_set)


def read_envelope(payload: bytes | bytearray | memoryview) -> Envelope:
    """Take a payload apart.

    The check sum is verified before anything else is read: pcodec's Rust may panic on damaged input, and what reaches
    it should be what the sender wrote.

    Raises
    ------
    Truncated, Corrupt, TooNew
        If the payload is too short, damaged, or of a format that is not known here.
    BadArgument
        If it is no bytes-like object.
    """
    if not isinstance(payload, bytes | bytearray | memoryview):
        raise BadArgument(f"a payload is bytes, got {type(payload).__name__}")
    data = bytes(payload)
    version, flags, header_bytes, body_bytes = _read_lengths(data)
    start = _LENGTHS.size + _CHECK_BYTES
    digests_end = start + DIGEST_BYTES * (1 + bool(flags & _HAS_BASE))
    metadata_at, header_at = digests_end, digests_end
    if flags & _HAS_METADATA:
        metadata_at += _METADATA_LENGTH.size
        header_at = metadata_at + _read_metadata_length(data, digests_end)
    end = header_at + header_bytes + body_bytes
    if len(data) < end:
        raise Truncated(f"the payload has {len(data)} of {end} bytes; drop it and ask again")
    if len(data) > end:
        raise Corrupt(f"the payload has {len(data) - end} bytes too many; drop it")
    if _check_sum(data[: _LENGTHS.size], memoryview(data)[start:]) != data[_LENGTHS.size : start]:
        raise Corrupt("the payload's check sum is wrong: damaged on the way; drop it and ask again")
    return Envelope(
        result=data[start : start + DIGEST_BYTES],
        base=data[start + DIGEST_BYTES : digests_end] or None,
        header=data[header_at : header_at + header_bytes],
        body=data[header_at + header_bytes :],
        lattice=bool(flags & _LATTICE),
        lossless=bool(flags & _LOSSLESS),
        metadata=data[metadata_at:header_at],
        version=version,
    )


def check_base(envelope: Envelope, held: str | None) -> None:
    """Raise `UnknownBase` if a payload builds on another version than the one held (its digest; None: nothing)."""
    if envelope.base is not None and envelope.base.hex() != held:
        shown = "none" if held is None else held[:8]
        raise UnknownBase(f"the payload builds on version {envelope.base.hex()[:8]}, held is {shown}; ask for another route")


def _read_lengths(data: bytes) -> tuple[int, int, int, int]:
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise Corrupt("this is no FedRetina payload: it does not begin with FDOM; drop it")
    if len(data) > len(MAGIC) and data[len(MAGIC)] not in _KNOWN_FLAGS:
        raise TooNew(f"the payload has format {data[len(MAGIC)]}; known here: 1 to {FORMAT_VERSION}; upgrade fedretina")
    if len(data) < _LENGTHS.size:
        raise Truncated(f"the payload ends after {len(data)} bytes, within its envelope; drop it and ask again")
    _, version, flags, header_bytes, body_bytes = _LENGTHS.unpack_from(data)
    if flags & ~_KNOWN_FLAGS[version] or header_bytes > MAX_HEADER_BYTES:
        raise Corrupt("the payload's envelope has unknown flags or a header over the limit; drop it")
    return version, flags, header_bytes, body_bytes


def _read_metadata_length(data: bytes, at: int) -> int:
    if len(data) < at + _METADATA_LENGTH.size:
        raise Truncated(f"the payload ends after {len(data)} bytes, within its envelope; drop it and ask again")
    length: int = _METADATA_LENGTH.unpack_from(data, at)[0]
    if not 0 < length <= MAX_METADATA_BYTES:
        raise Corrupt(f"the payload has {length} bytes of metadata; allowed: 1 to {MAX_METADATA_BYTES}; drop it")
    return length


def _check_sum(lengths: bytes, rest: bytes | memoryview) -> bytes:
    return blake3(lengths).update(rest).digest(_CHECK_BYTES)
