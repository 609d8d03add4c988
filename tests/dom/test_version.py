import ml_dtypes
import numpy as np
import pytest

from fedretina.dom import digest
from fedretina.errors import BadArgument

MODEL = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(3), "e": np.zeros((0, 4), np.float16)}


def test_order_layout_and_byte_order_do_not_matter():
    other = {
        "e": MODEL["e"],
        "b": np.int64(3),
        "a": np.asfortranarray(MODEL["a"]).astype(">f4"),
    }
    assert digest(other) == digest(MODEL)
    assert len(digest(MODEL)) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"a": MODEL["a"].reshape(3, 2)},
        {"a": MODEL["a"].astype(np.float64)},
        {"a": -MODEL["a"]},
        {"b": np.array(3, np.int32)},
        {"c": np.array(3)},
        {"e": np.zeros((4, 0), np.float16)},
    ],
)
def test_everything_else_matters(change):
    assert digest({**MODEL, **change}) != digest(MODEL)


def test_negative_zero_is_another_model():
    assert digest({"a": np.array(0.0)}) != digest({"a": np.array(-0.0)})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.array([1j]), "complex128"),
        (np.array(["x"]), "dtype"),
        (np.array([None]), "object"),
        ([1.0], "list"),
    ],
)
def test_names_the_tensor_that_cannot_travel(value, reason):
    with pytest.raises(BadArgument, match=r"'layer\.weight'") as caught:
        digest({"layer.weight": value})
    assert reason in str(caught.value)


@pytest.mark.parametrize("model", [[1], {3: np.zeros(1)}, {"\ud800": np.zeros(1)}, {"n" * 1025: np.zeros(1)}])
def test_refuses_what_is_no_model(model):
    with pytest.raises(BadArgument):
        digest(model)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_any_bits_have_a_digest(dtype):
    values = [np.array([bits], f"u{np.dtype(dtype).itemsize}").view(dtype) for bits in (0x7C01, 0x7FC1, 0x7FF1)]
    values += [np.array([value], dtype) for value in (np.nan, np.inf, -np.inf, 0)]
    assert len({digest({"a": value}) for value in values}) == len({value.tobytes() for value in values})
