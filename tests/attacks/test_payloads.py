"""Hostile and damaged payloads: each ends in one of our errors, never in another model or another exception."""

import resource
import tracemalloc
import zlib
from contextlib import suppress
from dataclasses import replace

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom import DomConfig, decode, digest, encode, inspect
from fedretina.dom.coding.integers import PCODEC_HEADER, pack
from fedretina.dom.coding.order import order_of
from fedretina.dom.coding.trellis import pack_paths
from fedretina.dom.format.envelope import read_envelope, write_envelope
from fedretina.errors import Corrupt, FedRetinaError, TooNew, Truncated, UnknownBase

RNG = np.random.default_rng(0)
BASE = {
    "layer.weight": RNG.standard_normal((128, 128)).astype(np.float32),
    "layer.bias": RNG.standard_normal(96).astype(np.float32),
    "layer.steps": np.array(3),
    "layer.mask": np.array([True, False, True]),
    "layer.frozen": np.ones(5, np.float16),
}
NEW = {
    name: array
    if array.dtype.kind in "ib" or name.endswith("frozen")
    else array + np.float32(0.01) * RNG.standard_normal(array.shape).astype("f4")
    for name, array in BASE.items()
}
NEW["layer.noise"] = RNG.integers(0, 256, 3000, dtype=np.uint8)
LOW_RANK = NEW | {
    "layer.weight": BASE["layer.weight"]
    + np.einsum("ri,rj->ij", RNG.standard_normal((2, 128)), RNG.standard_normal((2, 128))).astype("f4")
    + np.float32(0.3) * RNG.standard_normal((128, 128)).astype("f4"),
}
PAYLOADS = {
    "keyframe": (encode(NEW), None),
    "delta": (encode(NEW, base=BASE), BASE),
    "lattice": (encode(NEW, base=BASE, config=DomConfig(lattice=True)), BASE),
    "lossless": (encode(NEW, base=BASE, config=DomConfig(lossless=True)), BASE),
    "trellis": (encode(NEW, base=BASE, config=DomConfig(effort="small")), BASE),
    "predicted": (encode(LOW_RANK, base=BASE), BASE),
}
each_payload = pytest.mark.parametrize(("payload", "base"), PAYLOADS.values(), ids=PAYLOADS)


def _header(columns):
    """A payload with the given header and no body, its check sum right."""
    envelope = read_envelope(PAYLOADS["keyframe"][0])
    return write_envelope(replace(envelope, header=msgpack.packb(columns), body=b""))


def _columns(payload=PAYLOADS["keyframe"][0]):
    return _unpacked(read_envelope(payload))


def _unpacked(envelope):
    """The header's bytes as columns; version 2 compresses them."""
    return msgpack.unpackb(envelope.header if envelope.version == 1 else zlib.decompress(envelope.header))


def _with_columns(envelope, columns):
    """The envelope with other columns."""
    header = msgpack.packb(columns)
    return replace(envelope, header=header if envelope.version == 1 else zlib.compress(header))


@each_payload
def test_truncated_at_every_byte(payload, base):
    for length in range(len(payload)):
        with pytest.raises(Truncated):
            inspect(payload[:length])
    with pytest.raises(Truncated):
        decode(payload[:-1], base=base)


@each_payload
def test_every_bit_of_the_header_flipped_and_a_sample_of_the_body(payload, base):
    start = len(payload) - len(read_envelope(payload).body)
    places = [*range(8 * start), *range(8 * start, 8 * len(payload), 97)]
    for place in places:
        damaged = bytearray(payload)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises((Corrupt, TooNew)):
            inspect(damaged)


@each_payload
def test_the_same_flips_with_a_check_sum_that_is_right(payload, base):
    """Whoever flips bits on purpose mends the check sum: the digests still hold, and pcodec's panics do not escape."""
    envelope = read_envelope(payload)
    honest = digest(decode(payload, base=base))
    header = [replace(envelope, header=_flip(envelope.header, place)) for place in range(8 * len(envelope.header))]
    body = [replace(envelope, body=_flip(envelope.body, place)) for place in range(0, 8 * len(envelope.body), 61)]
    for hostile in header + body:
        with suppress(FedRetinaError):
            assert digest(decode(write_envelope(hostile), base=base)) == honest


def _flip(data, place):
    damaged = bytearray(data)
    damaged[place // 8] ^= 1 << place % 8
    return bytes(damaged)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=100), st.booleans())
def test_arbitrary_bytes_in_an_honest_envelope(header, body, has_base):
    base = bytes.fromhex(digest(BASE)) if has_base else None
    envelope = read_envelope(PAYLOADS["keyframe"][0])
    with pytest.raises(FedRetinaError):
        decode(write_envelope(replace(envelope, base=base, header=header, body=body)), base=BASE)


PARTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10), PARTS, st.sampled_from(sorted(PAYLOADS)))
def test_any_column_replaced_by_anything(column, part, name):
    payload, base = PAYLOADS[name]
    columns = _columns(payload)
    columns[min(column, len(columns) - 1)] = part
    hostile = write_envelope(_with_columns(read_envelope(payload), columns))
    with suppress(FedRetinaError):
        assert digest(decode(hostile, base=base)) == read_envelope(payload).result.hex()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes(data):
    for bad in (data, b"FDOM\x01" + data):
        with pytest.raises(FedRetinaError):
            decode(bad)


def test_wrong_base_and_replay():
    payload, _ = PAYLOADS["delta"]
    for base in (None, NEW, decode(payload, base=BASE)):
        with pytest.raises(UnknownBase, match=digest(BASE)[:8]):
            decode(payload, base=base)


@pytest.mark.parametrize("shape", [[2**60], [2**32, 2**32], [0, 2**60], [2**33 // 4 + 1], [-1], [1.5], [1] * 33, ["3"]])
def test_declared_sizes_beyond_the_limit(shape):
    columns = [b"", [[0, "w", 11, *shape]], b"\0", [], b"", 0, b"", [], b"", [b"", 0]]
    with pytest.raises(Corrupt):
        decode(_header(columns))


def test_many_tensors_below_the_limit_that_are_over_it_together():
    columns = [
        b"",
        [[0, "a", 11, 2**30], [0, "b", 11, 2**30], [0, "c", 11, 1]],
        b"\0\0\0",
        [],
        b"",
        0,
        b"",
        [],
        b"",
        [b"", 0],
    ]
    with pytest.raises(Corrupt, match="more than"):
        decode(_header(columns))


def test_a_small_payload_allocates_no_more_than_its_receiver_allows():
    """All-equal integers cost pcodec nothing: 2**24 of them fit a payload of some hundred bytes."""
    bomb = encode({"n": np.full(2**24, 7, np.int32)})
    assert len(bomb) < 1000
    tracemalloc.start()
    with pytest.raises(Corrupt, match="allowed here"):
        decode(bomb, max_bytes=2**20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(
    "rows",
    [
        [[0, "a", 11, 0], [0, "a", 11, 0]],
        [[0, "b", 11, 0], [0, "a", 11, 0]],
        [[0, "a", 11, 0], [1, "", 11, 0]],
        [[1, "a", 11, 0]],
        [[0, "n" * 1025, 11, 0]],
        [[0, "a", 13, 0]],
        [[0, b"a", 11, 0]],
        [[0, "a"]],
        ["a"],
    ],
)
def test_duplicated_and_malformed_names(rows):
    with pytest.raises(Corrupt):
        decode(_header([b"", rows, bytes(len(rows)), [], b"", 0, b"", [], b"", [b"", 0]]))


def test_a_fresh_tensor_with_the_name_of_a_kept_one():
    envelope = read_envelope(encode(BASE, base=BASE))
    columns = _unpacked(envelope)
    columns[1] = [[0, "layer.bias", 11, 96]]
    columns[2] += b"\0"
    columns[9][1] += 96 * 4
    with pytest.raises(Corrupt, match="twice"):
        decode(write_envelope(replace(envelope, header=msgpack.packb(columns))), base=BASE)


@pytest.mark.parametrize(
    "coding", [5, 7, 12, 8, 11, 1 | 8 | 16, 2 | 16, 3 | 16, 1 | 64, 255, 128, 2 | 128, 3 | 128, 1 | 8 | 128]
)
def test_unknown_codings(coding):
    columns = [b"", [[0, "w", 11, 3]], bytes([coding]), [0], b"", 0, b"\0", [], b"", [b"", 12]]
    with pytest.raises(Corrupt):
        decode(_header(columns))


def test_values_that_no_model_holds():
    """NaN by raw bits, and a boolean that is 2, with digests that are right."""
    for array in (np.full(3000, np.nan, np.float32), np.full(3000, 2, np.uint8).view(bool)):
        code = 11 if array.dtype.kind == "f" else 0
        columns = [b"", [[0, "w", code, 3000]], b"\3", [], b"", 0, b"", [[array.nbytes]], b"", [b"\4\1", array.nbytes]]
        envelope = read_envelope(PAYLOADS["keyframe"][0])
        hostile = replace(envelope, header=msgpack.packb(columns), body=array.tobytes())
        with pytest.raises(Corrupt, match="no model holds"):
            decode(write_envelope(hostile))


@pytest.mark.parametrize("config", [DomConfig(), DomConfig(bits=3), DomConfig(effort="small")])
def test_a_lattice_that_is_none(config):
    payload = encode(NEW, base=BASE, config=config)
    with pytest.raises(Corrupt, match="lattice"):
        decode(write_envelope(replace(read_envelope(payload), lattice=True)), base=BASE)


def test_a_trellis_of_too_few_values():
    columns = [b"", [[0, "w", 11, 8191]], bytes([1 | 128]), [0], b"", 0, b"\0", [[2]], b"", [PCODEC_HEADER, 4 * 8191]]
    with pytest.raises(Corrupt, match="too small for a trellis"):
        decode(_header(columns))


def test_a_trellis_on_powers_of_two_without_offsets_is_no_lattice():
    pieces = pack_paths(np.zeros(8192, np.int8), (8192,), "fast")
    lengths = [[len(piece) for piece in pieces]]
    columns = [b"", [[0, "w", 11, 8192]], bytes([1 | 128]), [0], b"", 0, b"\0", lengths, b"", [PCODEC_HEADER, 4 * 8192]]
    result = bytes.fromhex(digest({"w": np.zeros(8192, np.float32)}))
    envelope = replace(read_envelope(_header(columns)), body=b"".join(pieces), result=result)
    assert not decode(write_envelope(envelope))["w"].any()
    with pytest.raises(Corrupt, match="lattice"):
        decode(write_envelope(replace(envelope, lattice=True)))


def _with_codes(shape, codes, layout):
    """A payload whose one tensor is sorted by the given codes; its integers are all 0."""
    count = int(np.prod(shape))
    groups = order_of(codes, shape, layout).groups if codes.max() < 2 else (count,)
    pieces = [*pack(codes, "fast"), *(piece for size in groups for piece in pack(np.zeros(size, np.int8), "fast"))]
    lengths = [[len(piece) for piece in pieces]]
    tail = [b"\0", lengths, b"", [PCODEC_HEADER, 4 * count]]
    columns = [b"", [[0, "w", 11, *shape]], bytes([1 | layout << 4]), [0], b"", 0, *tail]
    envelope = replace(read_envelope(PAYLOADS["keyframe"][0]), header=msgpack.packb(columns), body=b"".join(pieces))
    result = digest({"w": np.zeros(shape, np.float32)})
    return write_envelope(replace(envelope, result=bytes.fromhex(result)))


def test_codes_that_ask_for_a_million_blocks():
    """Blocks are Python objects: a hostile sender must not make a decoder build more than a few thousand."""
    shape = (240, 240, 10, 10)
    codes = np.concatenate([np.arange(240) // 2 - 60, np.arange(240) // 2 - 60, np.arange(100)]).astype(np.int8)
    with pytest.raises(Corrupt, match="blocks"):
        decode(_with_codes(shape, codes, 3))
    calm = np.zeros(580, np.int8)
    assert not decode(_with_codes(shape, calm, 3))["w"].any()


def test_pieces_that_are_too_many_or_too_few():
    payload = _with_codes((128, 128), np.zeros(256, np.int8), 2)
    envelope = read_envelope(payload)
    for change in (
        lambda own: own[0].append(0),
        lambda own: own[0].pop(),
        lambda own: own.append([]),
        lambda own: own.clear(),
    ):
        columns = msgpack.unpackb(envelope.header)
        change(columns[7])
        body = envelope.body[: sum(map(sum, columns[7]))]
        with pytest.raises(Corrupt, match="pieces"):
            decode(write_envelope(replace(envelope, header=msgpack.packb(columns), body=body)))


def test_pcodecs_own_chunks_cannot_ask_for_memory():
    """Random bytes in place of a piece: pcodec gets a buffer of the declared size, and makes none of its own."""
    rng = np.random.default_rng(0)
    columns = [b"", [[0, "w", 11, 4096]], b"\1", [0], b"", 0, b"\0", [[900]], b"", [PCODEC_HEADER, 16384]]
    header = msgpack.packb(columns)
    envelope = read_envelope(PAYLOADS["keyframe"][0])
    before = _resident()
    for _ in range(300):
        body = bytes([rng.integers(4), 0]) + rng.bytes(898)
        with suppress(FedRetinaError):
            decode(write_envelope(replace(envelope, header=header, body=body)))
    assert _resident() - before < 64 * 2**20


def _resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_deep_nesting():
    envelope = read_envelope(PAYLOADS["keyframe"][0])
    with pytest.raises(Corrupt):
        decode(write_envelope(replace(envelope, header=b"\x91" * 100_000 + b"\x00")))


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\0b", "", "\N{RIGHT-TO-LEFT OVERRIDE}x", "__class__"])
def test_hostile_names_are_only_names(name):
    assert list(decode(encode({name: np.ones(3)}))) == [name]
