"""Hostile payloads of format version 2: pools, ties, and layouts of differences of bits that cannot be."""

import tracemalloc
import zlib
from contextlib import suppress
from dataclasses import replace

import msgpack
import numpy as np
import pytest

from fedretina.dom import decode, digest
from fedretina.dom.format.envelope import read_envelope, write_envelope
from fedretina.errors import Corrupt, FedRetinaError, Truncated
from golden import FIXTURE, base_of

NAMES = ("pools", "exact_layouts", "metadata")
PAYLOADS = {name: (FIXTURE / f"{name}.dom").read_bytes() for name in NAMES}
BASES = {name: base_of(name) for name in NAMES}
CODINGS, OFFSETS, CONVERTED, TIED = 2, 8, 11, 12


def columns(name):
    return msgpack.unpackb(zlib.decompress(read_envelope(PAYLOADS[name]).header))


def payload_of(name, changed):
    return write_envelope(replace(read_envelope(PAYLOADS[name]), header=zlib.compress(msgpack.packb(changed))))


def changed_codings(name, change):
    """The golden payload with its bytes of codings changed."""
    changed = columns(name)
    codings = bytearray(changed[CODINGS])
    change(codings)
    changed[CODINGS] = bytes(codings)
    return payload_of(name, changed)


@pytest.mark.parametrize("name", NAMES)
def test_the_golden_payloads_survive_being_taken_apart(name):
    decoded = decode(payload_of(name, columns(name)), base=BASES[name])
    assert digest(decoded) == read_envelope(PAYLOADS[name]).result.hex()


@pytest.mark.parametrize("name", NAMES)
def test_cut_at_every_byte(name):
    payload = PAYLOADS[name]
    for length in range(0, len(payload), 1 if len(payload) < 6000 else 97):
        with pytest.raises(Truncated):
            decode(payload[:length], base=BASES[name])


@pytest.mark.parametrize("name", NAMES)
def test_flipped_bits(name):
    payload = PAYLOADS[name]
    for place in range(0, 8 * len(payload), 1 + len(payload) // 600):
        damaged = bytearray(payload)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(FedRetinaError):
            decode(bytes(damaged), base=BASES[name])


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_of_the_header_changed_behind_the_check_sum(name):
    packed = msgpack.packb(columns(name))
    result = read_envelope(PAYLOADS[name]).result.hex()
    for place in range(len(packed)):
        damaged = bytearray(packed)
        damaged[place] ^= 1 << place % 8
        hostile = write_envelope(replace(read_envelope(PAYLOADS[name]), header=zlib.compress(bytes(damaged), 1)))
        with suppress(FedRetinaError):
            assert digest(decode(hostile, base=BASES[name])) == result  # of bytes that are for people: errors


@pytest.mark.parametrize("tied", [[], [0, 0], [-1], [40], [41], [10**9], [None], [1.0], [True], [2], "x", {}], ids=str)
def test_ties_that_lead_nowhere(tied):
    """Number 40 is the tied tensor itself, 2 has another shape."""
    changed = columns("pools")
    assert changed[TIED] == [36]
    changed[TIED] = tied
    with pytest.raises(Corrupt):
        decode(payload_of("pools", changed), base=BASES["pools"])


@pytest.mark.parametrize(
    "change",
    [
        lambda codings: codings.__setitem__(0, codings[0] ^ 0x10),  # into another pool
        lambda codings: codings.__setitem__(0, codings[0] | 0x80),  # a pooled trellis
        lambda codings: codings.__setitem__(0, 0x06),  # a tie more than the column has
        lambda codings: codings.__setitem__(40, 0x01),
        lambda codings: codings.__setitem__(40, 0x07),
        lambda codings: codings.__setitem__(40, 0x16),  # a tie with a layout
        lambda codings: codings.append(0x06),
    ],
)
def test_codings_that_do_not_fit(change):
    with pytest.raises(Corrupt):
        decode(changed_codings("pools", change), base=BASES["pools"])


def test_layouts_of_bits_that_do_not_fit():
    codings = columns("exact_layouts")[CODINGS]
    bits = [place for place, coding in enumerate(codings) if coding & 7 == 2]
    assert bits
    for place in bits:
        for layout in range(8):
            if layout != codings[place] >> 4:
                coding = 2 | layout << 4
                hostile = changed_codings("exact_layouts", lambda own, at=place, coding=coding: own.__setitem__(at, coding))
                with pytest.raises(Corrupt):
                    decode(hostile, base=BASES["exact_layouts"])


def test_version_1_has_none_of_it():
    for name in NAMES[:2]:
        header = zlib.decompress(read_envelope(PAYLOADS[name]).header)
        ten = msgpack.packb(msgpack.unpackb(header)[:10])
        with pytest.raises(Corrupt):
            decode(write_envelope(replace(read_envelope(PAYLOADS[name]), header=ten, version=1)), base=BASES[name])


def test_ties_are_counted_before_they_are_copied():
    """A thousand tensors tied to one of 64 MiB: refused by `max_bytes`, and nothing is allocated."""
    shape = (4096, 4096)
    fresh = [[0, "a", 11, *shape], *([0, f"b{number:04}", 11, *shape] for number in range(1000))]
    changed = [
        b"",
        fresh,
        b"\0" + b"\6" * 1000,
        [],
        b"",
        0,
        b"",
        [],
        b"",
        [b"", 1001 * 2**26],
        [b"", [], [], []],
        b"",
        [0] * 1000,
    ]
    header = zlib.compress(msgpack.packb(changed))
    hostile = replace(read_envelope(PAYLOADS["metadata"]), base=None, metadata=b"", header=header, body=b"")
    tracemalloc.start()
    with pytest.raises(Corrupt):
        decode(write_envelope(hostile), max_bytes=2**27)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    assert np.prod(shape) * 4 == 2**26
