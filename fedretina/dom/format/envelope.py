"""The envelope of a payload: magic, version, flags, lengths, check sum, digests; see docs/format.md."""

import struct
from dataclasses import dataclass

from blake3 import blake3

from fedretina.errors import BadArgument, Corrupt, TooNew, Truncated

MAGIC = b"FDOM"
FORMAT_VERSIONS = (1, 2)
MAX_HEADER_BYTES = 2**24
DIGEST_BYTES = 32
_CHECK_BYTES = 16
_LENGTHS = struct.Struct("<4sBBIQ")  # magic, version, flags, header's length, body's length
_HAS_BASE, _LATTICE, _LOSSLESS = 1, 2, 4
_KNOWN_FLAGS = _HAS_BASE | _LATTICE | _LOSSLESS


@dataclass(frozen=True)
class Envelope:
    """A payload taken apart; its check sum is right."""

    result: bytes
    base: bytes | None
    header: bytes
    body: bytes
    lattice: bool
    lossless: bool
    version: int = 1


def write_envelope(envelope: Envelope) -> bytes:
    """Return the payload."""
    flags = _HAS_BASE * (envelope.base is not None) | _LATTICE * envelope.lattice | _LOSSLESS * envelope.lossless
    if len(envelope.header) > MAX_HEADER_BYTES:
        raise BadArgument(
            f"the header takes {len(envelope.header)} bytes; allowed: at most {MAX_HEADER_BYTES}; shorten names"
        )
    lengths = _LENGTHS.pack(MAGIC, envelope.version, flags, len(envelope.header), len(envelope.body))
    rest = b"".join([envelope.result, envelope.base or b"", envelope.header, envelope.body])
    return b"".join([lengths, _check_sum(lengths, rest), rest])


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
    has_base = bool(flags & _HAS_BASE)
    header_at = start + DIGEST_BYTES * (1 + has_base)
    end = header_at + header_bytes + body_bytes
    if len(data) < end:
        raise Truncated(f"the payload has {len(data)} of {end} bytes; drop it and ask again")
    if len(data) > end:
        raise Corrupt(f"the payload has {len(data) - end} bytes too many; drop it")
    if _check_sum(data[: _LENGTHS.size], memoryview(data)[start:]) != data[_LENGTHS.size : start]:
        raise Corrupt("the payload's check sum is wrong: damaged on the way; drop it and ask again")
    return Envelope(
        result=data[start : start + DIGEST_BYTES],
        base=data[start + DIGEST_BYTES : header_at] if has_base else None,
        header=data[header_at : header_at + header_bytes],
        body=data[header_at + header_bytes :],
        lattice=bool(flags & _LATTICE),
        lossless=bool(flags & _LOSSLESS),
        version=version,
    )


def _read_lengths(data: bytes) -> tuple[int, int, int, int]:
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise Corrupt("this is no FedRetina payload: it does not begin with FDOM; drop it")
    if len(data) > len(MAGIC) and data[len(MAGIC)] not in FORMAT_VERSIONS:
        raise TooNew(f"the payload has format {data[len(MAGIC)]}, known here is {FORMAT_VERSIONS[-1]}; upgrade fedretina")
    if len(data) < _LENGTHS.size:
        raise Truncated(f"the payload ends after {len(data)} bytes, within its envelope; drop it and ask again")
    _, version, flags, header_bytes, body_bytes = _LENGTHS.unpack_from(data)
    if flags & ~_KNOWN_FLAGS or header_bytes > MAX_HEADER_BYTES:
        raise Corrupt("the payload's envelope has unknown flags or a header over the limit; drop it")
    return version, flags, header_bytes, body_bytes


def _check_sum(lengths: bytes, rest: bytes | memoryview) -> bytes:
    return blake3(lengths).update(rest).digest(_CHECK_BYTES)
