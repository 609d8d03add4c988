import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fedretina.dom.coding import integers
from fedretina.dom.coding.integers import PCODEC_HEADER, decompressor_for, narrow, pack, piece_sizes, unpack
from fedretina.errors import Corrupt, TooNew

READER = decompressor_for(PCODEC_HEADER)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int64, st.integers(0, 600)), st.sampled_from(["fast", "balanced", "small"]))
def test_round_trip(values, effort):
    pieces = pack(values, effort)
    assert len(pieces) == len(piece_sizes(values.size))
    assert np.array_equal(unpack(pieces, (values.size,), READER), values)


@pytest.mark.parametrize(("largest", "dtype"), [(127, "i1"), (128, "i2"), (2**15, "i4"), (2**31, "i8")])
def test_narrows(largest, dtype):
    assert narrow(np.array([largest, 0])).dtype == np.dtype(dtype)


def test_long_groups_come_in_pieces(monkeypatch):
    monkeypatch.setattr(integers, "PIECE", 1000)
    values = np.random.default_rng(0).integers(-5, 5, 2500)
    pieces = pack(values, "balanced")
    assert len(pieces) == 3
    assert np.array_equal(unpack(pieces, (2500,), READER), values)


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\x09", b"\x00\x20\x00", b"\x00\x00\x00\x00"])
def test_refuses_what_is_no_piece(damage):
    with pytest.raises(Corrupt):
        unpack([damage], (100,), READER)


def test_refuses_another_length():
    (piece,) = pack(np.arange(300) % 7, "balanced")
    for damaged, count in ((piece + b"\x00", 300), (piece[:-1], 300), (piece, 3), (piece, 3000)):
        with pytest.raises(Corrupt):
            unpack([damaged], (count,), READER)


def test_pcodecs_panics_are_caught(monkeypatch):
    class PanicException(BaseException):
        """As pyo3 raises it."""

    class Reader:
        def chunk_decompressor(self, data, kind):
            raise PanicException("index out of bounds")

    (piece,) = pack(np.arange(300) % 7, "balanced")
    with pytest.raises(Corrupt, match="out of bounds"):
        unpack([piece], (300,), Reader())


def test_a_newer_pcodec():
    with pytest.raises(TooNew, match="pcodec"):
        decompressor_for(b"\xff\xff")
