from dataclasses import replace

import pytest

from fedretina.dom.format.envelope import Envelope, read_envelope, write_envelope
from fedretina.errors import BadArgument, Corrupt, TooNew, Truncated

ENVELOPE = Envelope(result=b"r" * 32, base=b"b" * 32, header=b"head", body=b"body", lattice=True, lossless=False)
WITH_METADATA = replace(ENVELOPE, metadata=b"text", version=2)


@pytest.mark.parametrize("base", [None, b"b" * 32])
def test_round_trip(base):
    envelope = Envelope(result=b"r" * 32, base=base, header=b"h", body=b"", lattice=False, lossless=True)
    for kind in (bytes, bytearray, memoryview):
        assert read_envelope(kind(write_envelope(envelope))) == envelope
        with_metadata = replace(envelope, metadata=b"m", version=2)
        assert read_envelope(kind(write_envelope(with_metadata))) == with_metadata


def test_layout_is_as_documented():
    payload = write_envelope(ENVELOPE)
    assert payload[:6] == b"FDOM\x01\x03"
    assert payload[6:18] == (4).to_bytes(4, "little") + (4).to_bytes(8, "little")
    assert payload[34:] == b"r" * 32 + b"b" * 32 + b"head" + b"body"


def test_layout_with_metadata_is_as_documented():
    payload = write_envelope(WITH_METADATA)
    assert payload[:6] == b"FDOM\x02\x0b"
    assert payload[34:] == b"r" * 32 + b"b" * 32 + (4).to_bytes(4, "little") + b"texthead" + b"body"


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", Truncated),
        (b"FD", Truncated),
        (b"<html>", Corrupt),
        (b"FDOM\x03", TooNew),
        (write_envelope(WITH_METADATA)[:100], Truncated),
        (write_envelope(WITH_METADATA)[:-1], Truncated),
        (write_envelope(WITH_METADATA)[:98] + bytes(4) + write_envelope(WITH_METADATA)[102:], Corrupt),
        (write_envelope(WITH_METADATA)[:98] + b"\xff" * 4 + write_envelope(WITH_METADATA)[102:], Corrupt),
        (b"FDOM\x02\x10" + write_envelope(WITH_METADATA)[6:], Corrupt),
        (write_envelope(ENVELOPE)[:-1], Truncated),
        (write_envelope(ENVELOPE) + b"!", Corrupt),
        (b"FDOM\x01\x08" + write_envelope(ENVELOPE)[6:], Corrupt),
        ("FDOM", BadArgument),
        (None, BadArgument),
    ],
)
def test_errors_say_what_to_do(payload, error):
    with pytest.raises(error) as caught:
        read_envelope(payload)
    assert type(caught.value) is error


def test_a_header_over_the_limit_is_not_sent():
    with pytest.raises(BadArgument, match="allowed"):
        write_envelope(replace(ENVELOPE, header=bytes(2**24 + 1)))
    with pytest.raises(BadArgument, match="the metadata takes 1048577 bytes; allowed: at most 1048576; shorten it"):
        write_envelope(replace(WITH_METADATA, metadata=bytes(2**20 + 1)))
