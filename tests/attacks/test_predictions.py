"""Hostile payloads of format version 2: ranks, factors and compressed headers that ask for too much."""

import tracemalloc
import zlib
from contextlib import suppress
from dataclasses import replace

import msgpack
import numpy as np
import pytest

from fedretina.dom import decode, digest, encode, inspect
from fedretina.dom.coding.integers import pack
from fedretina.dom.format.envelope import MAX_HEADER_BYTES, read_envelope, write_envelope
from fedretina.errors import Corrupt, FedRetinaError, TooNew
from golden import FIXTURE, base_of

NAME = "predicted"
BASE = base_of(NAME)
PAYLOAD = (FIXTURE / f"{NAME}.dom").read_bytes()
ENVELOPE = read_envelope(PAYLOAD)


def columns():
    return msgpack.unpackb(zlib.decompress(ENVELOPE.header))


def payload_of(changed, body=ENVELOPE.body):
    return write_envelope(replace(ENVELOPE, header=zlib.compress(msgpack.packb(changed)), body=body))


def changed_factors(change):
    """The golden payload with its column of factors changed."""
    changed = columns()
    change(changed[10])
    return payload_of(changed)


def test_the_golden_payload_survives_being_taken_apart():
    assert digest(decode(payload_of(columns()), base=BASE)) == ENVELOPE.result.hex()


@pytest.mark.parametrize(
    "change",
    [
        lambda own: own.__setitem__(0, own[0][:-1]),
        lambda own: own.__setitem__(0, own[0] + b"\1"),
        lambda own: own.__setitem__(0, b"\xff" * len(own[0])),
        lambda own: own[1].pop(),
        lambda own: own[1].append(0),
        lambda own: own[1].__setitem__(0, 901),
        lambda own: own[1].__setitem__(0, -901),
        lambda own: own[1].__setitem__(0, 1.5),
        lambda own: own[1].__setitem__(0, True),
        lambda own: own[1].__setitem__(0, own[1][0] + 60),
        lambda own: own[2].pop(),
        lambda own: own[2].append([3]),
        lambda own: own[2][0].append(0),
        lambda own: own[2][0].__setitem__(0, 2**60),
        lambda own: own[2][0].__setitem__(0, -1),
        lambda own: own[2][0].__setitem__(0, own[2][0][0] - 1),
        lambda own: own.append([]),
        lambda own: own[3].append(0),
        lambda own: own.__setitem__(3, [-901] * sum(map(bool, own[0]))),
        lambda own: own.__setitem__(3, None),
        lambda own: own.clear(),
    ],
)
def test_columns_of_factors_that_do_not_fit(change):
    with pytest.raises(Corrupt):
        decode(changed_factors(change), base=BASE)


def test_every_bit_of_the_columns_flipped():
    """Before compression, and with a check sum that is right: damage past the check sum that still inflates."""
    packed = msgpack.packb(columns())
    for place in range(8 * len(packed)):
        damaged = bytearray(packed)
        damaged[place // 8] ^= 1 << place % 8
        hostile = write_envelope(replace(ENVELOPE, header=zlib.compress(bytes(damaged), 1)))
        with suppress(FedRetinaError):
            assert digest(decode(hostile, base=BASE)) == ENVELOPE.result.hex()


def test_a_header_that_inflates_beyond_the_limit():
    bomb = zlib.compress(bytes(64 * MAX_HEADER_BYTES), 9)
    tracemalloc.start()
    with pytest.raises(Corrupt, match="compressed header"):
        inspect(write_envelope(replace(ENVELOPE, header=bomb)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MAX_HEADER_BYTES


@pytest.mark.parametrize("header", [ENVELOPE.header[:-1], ENVELOPE.header + b"\0", b"", b"\x78"])
def test_a_compressed_header_that_is_not_whole(header):
    with pytest.raises(Corrupt):
        inspect(write_envelope(replace(ENVELOPE, header=header)))


def _one_tensor(shape, rank, factors, kind=5):
    """A payload of one tensor without base, predicted by the given integers."""
    exponents = [0] * rank
    pieces = pack(factors, "fast")
    count = int(np.prod(shape))
    step = [[0], b"", 0, b"\0"] if kind in {1, 5} else [[], b"", 0, b""]
    own = [bytes([rank]), exponents, [[len(piece)] for piece in pieces], []]
    first = columns()
    header = [b"", [[0, "w", 11, *shape]], bytes([kind]), *step, [], b"", [first[9][0], 4 * count], own]
    envelope = replace(ENVELOPE, base=None, header=zlib.compress(msgpack.packb(header)), body=b"".join(pieces))
    return envelope


def test_an_honest_payload_of_one_predicted_tensor():
    envelope = _one_tensor((4, 5), 1, np.arange(9))
    result = np.outer(np.arange(4), np.arange(4, 9)).astype(np.float32)
    honest = replace(envelope, result=bytes.fromhex(digest({"w": result})))
    assert np.array_equal(decode(write_envelope(honest))["w"], result)


@pytest.mark.parametrize(
    ("shape", "rank", "factors", "kind", "words"),
    [
        ((4, 5), 5, np.arange(45), 5, "has 5 factors"),
        ((20,), 1, np.arange(21), 5, "has 1 factors"),
        ((4, 5), 1, np.arange(9), 0, "rank 1"),
        ((4, 5), 1, np.arange(9), 3, "rank 1"),
        ((4, 5), 0, np.arange(0), 5, "rank 0"),
        ((4, 5), 1, np.full(9, 2**40), 5, "not exact"),
        ((4, 5), 1, np.arange(8), 5, "piece of integers"),
        ((4, 5), 1, np.arange(10), 5, "piece of integers"),
    ],
)
def test_ranks_and_factors_that_no_tensor_has(shape, rank, factors, kind, words):
    with pytest.raises(Corrupt, match=words):
        decode(write_envelope(_one_tensor(shape, rank, factors, kind)))


def test_factors_are_bounded_before_they_are_allocated():
    """2**24 values of rank 200 are a payload of some hundred bytes if all factors are equal."""
    side = 2**12
    bomb = _one_tensor((side, side), 200, np.full(400 * side, 1, np.int8))
    assert len(bomb.body) < 2000
    tracemalloc.start()
    with pytest.raises(Corrupt, match="max_bytes"):
        decode(write_envelope(bomb), max_bytes=2**20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_version_1_knows_no_predictions():
    header = zlib.decompress(ENVELOPE.header)
    with pytest.raises(Corrupt):
        decode(write_envelope(replace(ENVELOPE, header=header, version=1)), base=BASE)
    ten = msgpack.unpackb(header)[:10]
    with pytest.raises(Corrupt, match="coding 0x05"):
        decode(write_envelope(replace(ENVELOPE, header=msgpack.packb(ten), version=1)), base=BASE)


def test_a_prediction_is_on_no_lattice():
    with pytest.raises(Corrupt, match="lattice"):
        decode(write_envelope(replace(ENVELOPE, lattice=True)), base=BASE)


def test_version_3_is_too_new():
    with pytest.raises(TooNew, match="known here: 1 to 2"):
        inspect(encode({"w": np.ones(3)})[:4] + b"\3" + PAYLOAD[5:])
