import pytest

from fedretina.dom.format.envelope import Envelope, read_envelope, write_envelope
from fedretina.errors import BadArgument, Corrupt, TooNew, Truncated

ENVELOPE = Envelope(result=b"r" * 32, base=b"b" * 32, header=b"head", body=b"body", lattice=True, lossless=False)


@pytest.mark.parametrize("base", [None, b"b" * 32])
def test_round_trip(base):
    envelope = Envelope(result=b"r" * 32, base=base, header=b"h", body=b"", lattice=False, lossless=True)
    for kind in (bytes, bytearray, memoryview):
        assert read_envelope(kind(write_envelope(envelope))) == envelope


def test_layout_is_as_documented():
    payload = write_envelope(ENVELOPE)
    assert payload[:6] == b"FDOM\x01\x03"
    assert payload[6:18] == (4).to_bytes(4, "little") + (4).to_bytes(8, "little")
    assert payload[34:] == b"r" * 32 + b"b" * 32 + b"head" + b"body"


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", Truncated),
        (b"FD", Truncated),
        (b"<html>", Corrupt),
        (b"FDOM\x03", TooNew),
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
        write_envelope(Envelope(b"r" * 32, None, bytes(2**24 + 1), b"", lattice=False, lossless=False))
