"""What counts as weights, and the order of a record's arrays."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from fedretina.errors import BadArgument, Corrupt
from fedretina.flower import records


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"0": np.frombuffer(b'{"learner": {}}', np.uint8)},  # FedXgb's trees
        {"n": np.array(3)},
        {"w": np.array([1.0, np.nan])},
        {"w": np.array([1 + 2j])},
        {"w": np.ones(2), "s": np.array(["text"])},
    ],
)
def test_these_are_no_weights(arrays):
    assert records.read_model(ArrayRecord({name: Array(array) for name, array in arrays.items()})) is None


def test_arrays_of_another_serialisation_are_no_weights():
    record = ArrayRecord({"w": Array("float32", (1,), "mine", b"1234")})
    assert records.read_model(record) is None
    with pytest.raises(BadArgument):
        records.to_model(record)


def test_legacy_arrays_tell_no_dtype_and_are_read_all_the_same():
    data = Array(np.ones((2, 3), np.float32)).data
    got = records.read_model(ArrayRecord({"0": Array("", (), "numpy.ndarray", data)}))
    assert got["0"].shape == (2, 3)


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_comes_back(names):
    record = ArrayRecord({name: Array(np.full(2, float(i))) for i, name in enumerate(names)})
    again = records.to_record(records.to_model(record), records.order_of(record))
    assert list(again) == list(names)
    assert again == record


@pytest.mark.parametrize("order", [[0], [0, 0], [0, 2], []])
def test_an_order_of_something_else_is_corrupt(order):
    with pytest.raises(Corrupt):
        records.to_record({"a": np.ones(1), "b": np.ones(1)}, order)


def test_payloads_come_back_and_are_taken_for_no_weights():
    record = records.pack([b"one", b"two"])
    assert records.unpack(record) == [b"one", b"two"]
    with pytest.raises(TypeError, match="put dom_mod first"):
        record["0"].numpy()
    with pytest.raises(Corrupt, match="lacks"):
        records.unpack(ArrayRecord({"1": record["0"]}))
    with pytest.raises(Corrupt, match="mixes"):
        records.unpack(ArrayRecord({"0": Array(np.ones(1))}))


def test_replacing_keeps_the_order_and_the_original():
    content = RecordDict({"x": ArrayRecord(), "y": ArrayRecord()})
    other = records.pack([b"p"])
    copy = records.replace_records(content, {"x": other, "z": other})
    assert list(copy) == ["x", "y", "z"]
    assert len(content["x"]) == 0
