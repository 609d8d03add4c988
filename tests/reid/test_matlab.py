"""The reader of MATLAB's files: what scipy writes is read as scipy reads it, and damage is an error, never a crash."""

import io
from contextlib import suppress

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from fedretina.errors import Corrupt, FedRetinaError, Truncated
from fedretina.reid.matlab import read_matlab


def stored(*, compressed=False, **values):
    stream = io.BytesIO()
    savemat(stream, values, do_compression=compressed)
    return stream.getvalue()


def cells(*texts):
    array = np.empty((len(texts), 1), object)
    array[:, 0] = texts
    return array


NAMES = ["1_001_1_01.png", "a.png", "caf\u00e9.png", "\u732b.png"]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_names_and_numbers_are_read_as_scipy_reads_them(compressed, dtype):
    data = stored(compressed=compressed, filelist=cells(*NAMES), index=np.array([[1, 2], [3, 4]], dtype), one=np.int32(5))
    found, known = read_matlab(data), loadmat(io.BytesIO(data))
    assert found["filelist"] == [str(cell[0]) for cell in known["filelist"].ravel()] == NAMES
    assert found["index"].tolist() == known["index"].ravel("F").tolist()
    assert found["one"].tolist() == [5]


def test_other_kinds_of_variables_are_left_out():
    data = stored(text="words", complex=np.array([1j]), record={"a": 1}, index=np.arange(3))
    assert set(read_matlab(data)) == {"index"}


@pytest.mark.parametrize("data", [b"", b"MATLAB 4", bytes(200)])
def test_what_is_no_file_of_matlab(data):
    with pytest.raises(Corrupt, match="no header"):
        read_matlab(data)


@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_at_every_byte(compressed):
    data = stored(compressed=compressed, filelist=cells(*NAMES), index=np.arange(9.0))
    for length in range(136, len(data)):
        with suppress(Corrupt):
            assert len(read_matlab(data[:length])) < 2


@pytest.mark.parametrize("compressed", [False, True])
def test_every_bit_flipped(compressed):
    data = stored(compressed=compressed, filelist=cells(*NAMES[:2]), index=np.arange(9.0))
    for place in range(8 * 124, 8 * len(data)):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        with suppress(FedRetinaError):
            read_matlab(bytes(damaged))


def test_a_variable_that_unpacks_to_too_much_is_refused():
    with pytest.raises(Corrupt, match="more than"):
        read_matlab(stored(compressed=True, index=np.zeros(2**24, np.float64)))


def test_an_element_that_ends_behind_the_file():
    with pytest.raises(Truncated):
        read_matlab(stored(index=np.arange(99.0))[:-1])
