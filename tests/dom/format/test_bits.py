"""Lossless differences: grouped by the base's exponent, and without untouched rows."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom import DomConfig, decode, encode, inspect
from fedretina.dom.coding.integers import PCODEC_HEADER, decompressor_for
from fedretina.dom.format.bits import layouts_of, pack_bits, unpack_bits
from fedretina.errors import Corrupt

EXACT = DomConfig(lossless=True)
DTYPES = [ml_dtypes.bfloat16, np.float16, np.float32, np.float64]


def _update(dtype, shape=(200, 200), rms=1e-3):
    rng = np.random.default_rng(0)
    base = (0.05 * rng.standard_normal(shape)).astype(dtype)
    return base, (base.astype(np.float64) + rms * rng.standard_normal(shape)).astype(dtype)


def _words(array):
    return array.reshape(-1).view(f"u{array.itemsize}")


def _entropy_given_exponent(base, new):
    """Bits per value."""
    differences = (_words(new) - _words(base)).view(f"i{base.itemsize}")
    info = ml_dtypes.finfo(base.dtype)
    exponents = _words(base) >> info.nmant & ((1 << info.nexp) - 1)
    bits = 0.0
    for each in np.unique(exponents):
        counts = np.unique(differences[exponents == each], return_counts=True)[1]
        bits -= (counts * np.log2(counts / counts.sum())).sum()
    return bits / base.size


@pytest.mark.parametrize("dtype", DTYPES[:2])
@pytest.mark.parametrize("rms", [1e-3, 1e-4])
def test_half_precision_takes_little_more_than_the_entropy_given_the_exponent(dtype, rms):
    base, new = _update(dtype, (500, 400), rms)
    bits = 8 * len(encode({"w": new}, base={"w": base}, config=EXACT)) / new.size
    assert bits < 1.06 * _entropy_given_exponent(base, new)


@pytest.mark.parametrize("dtype", DTYPES)
def test_untouched_rows_are_a_bit_each(dtype):
    base, moved = _update(dtype, (4000, 16))
    new = base.copy()
    new[::60] = moved[::60]
    payload = encode({"w": new}, base={"w": base}, config=EXACT)
    touched = 4000 // 60 + 1
    assert "touched rows" in inspect(payload, base={"w": base}).tensors[0].coding
    assert len(payload) < touched * 16 * base.itemsize + 4000 / 8 + 400
    assert decode(payload, base={"w": base})["w"].tobytes() == new.tobytes()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(DTYPES),
    st.sampled_from([(96, 96), (300, 4, 9), (9000,), (1, 9000), (9000, 1), (64, 128)]),
    st.floats(0, 1),
    st.sampled_from(["fast", "balanced", "small"]),
    st.integers(0, 99),
)
def test_every_bit_pattern_survives(dtype, shape, touched, effort, seed):
    """NaN with any payload, infinities, subnormals, zeros of both signs."""
    rng = np.random.default_rng(seed)
    size = np.dtype(dtype).itemsize
    base, other = (np.frombuffer(rng.bytes(int(np.prod(shape)) * size), dtype).reshape(shape) for _ in range(2))
    new = np.where(rng.random((shape[0], *[1] * (len(shape) - 1))) < touched, other, base)
    for held in (None, {"w": base}):
        config = DomConfig(lossless=True, effort=effort)
        assert decode(encode({"w": new}, base=held, config=config), base=held)["w"].tobytes() == new.tobytes()


@pytest.mark.parametrize("layout", [0, 1, 2, 3])
def test_each_layout_gives_back_what_it_took(layout):
    base, new = (part.reshape(-1) for part in _update(np.float32, (100, 90)))
    differences = (_words(new) - _words(base)).view(np.int32)
    differences.reshape(100, 90)[::3] = 0
    pieces = pack_bits(differences, base, (100, 90), layout, "balanced")
    found = unpack_bits(pieces, base, (100, 90), count=9000, layout=layout, decompressor=decompressor_for(PCODEC_HEADER))
    assert np.array_equal(found, differences)


def test_small_tensors_and_those_without_base_have_no_layouts():
    differences = np.ones(9000, np.int32)
    assert layouts_of(differences, None, (90, 100)) == [0]
    assert layouts_of(differences[:8000], np.ones(8000, np.float32), (80, 100)) == [0]
    assert layouts_of(differences, np.ones(9000, np.float32), (90, 100)) == [0, 1]
    assert layouts_of(differences, np.ones(9000, np.int32), (90, 100)) == [0]


def test_rows_beyond_the_tensors_are_refused():
    base = np.ones(9000, np.float32)
    differences = np.ones(9000, np.int32)
    pieces = pack_bits(differences, base, (900, 10), 2, "balanced")
    with pytest.raises(Corrupt, match="rows"):
        unpack_bits(pieces, base, (897, 10), count=8970, layout=2, decompressor=decompressor_for(PCODEC_HEADER))


def test_version_1_has_no_layouts_of_bits():
    base, new = _update(np.float16)
    payload = encode({"w": new}, base={"w": base}, config=DomConfig(lossless=True, format=1))
    assert inspect(payload, base={"w": base}).tensors[0].coding == "bits"
