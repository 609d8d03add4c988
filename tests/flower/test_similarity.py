"""Dtypes come back after strategies that widen, and nothing else changes; which models may be versions of one."""

import numpy as np
import pytest

from fedretina.flower.similarity import is_similar, restore_dtypes


@pytest.mark.parametrize(
    ("made", "like", "wanted"),
    [
        (np.array([1.5]), np.zeros(1, np.float32), np.float32),
        (np.array([1.5], np.float32), np.zeros(1, np.float16), np.float16),
        (np.array(9.9999), np.array(3), np.int64),
        (np.array([0.7]), np.array([True]), np.bool_),
        (np.array([300.0]), np.zeros(1, np.uint8), np.uint8),
        (np.array([1.5], np.float16), np.zeros(1, np.float32), np.float16),  # narrowed on purpose
        (np.array([2]), np.zeros(1, np.float32), np.int64),  # no float: nobody averaged it
        (np.array([1.5]), np.zeros(2, np.float32), np.float64),  # another tensor
    ],
)
def test_dtypes(made, like, wanted):
    assert restore_dtypes({"x": made}, {"x": like})["x"].dtype == wanted


def test_counters_are_rounded_and_stay_in_range():
    got = restore_dtypes({"n": np.array([9.9999, -1.0, 300.0])}, {"n": np.zeros(3, np.uint8)})["n"]
    assert got.tolist() == [10, 0, 255]


def test_what_the_version_before_lacks_stays():
    assert restore_dtypes({"x": np.ones(1)}, {})["x"].dtype == np.float64


def test_nearness():
    rng = np.random.default_rng(0)
    model = {"w": rng.normal(size=100).astype(np.float32), "n": np.array(3)}
    moved = {"w": model["w"] + np.float32(0.1), "n": np.array(900.0)}
    assert is_similar(moved, model)
    assert not is_similar({"w": rng.normal(size=100), "n": np.array(3)}, model)
    assert not is_similar({"w": moved["w"]}, model)
    assert not is_similar({"w": moved["w"].reshape(10, 10), "n": np.array(3)}, model)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("masked", [-1e4, None])
def test_an_attention_mask_does_not_hide_the_weights(dtype, masked):
    rng = np.random.default_rng(0)
    mask = np.triu(np.full((8, 8), np.finfo(dtype).min if masked is None else masked, dtype), 1)
    model = {"w": rng.normal(size=(10, 10)).astype(dtype), "mask": mask}
    assert is_similar({"w": model["w"] * dtype(1.1), "mask": mask}, model)
    assert not is_similar({"w": -model["w"], "mask": mask}, model)


def test_a_frozen_tensor_counts_where_others_begin_at_zero():
    adapter = {"a": np.ones((4, 8), np.float32), "b": np.zeros((8, 4), np.float32)}
    assert is_similar(adapter | {"b": np.full((8, 4), 0.01, np.float32)}, adapter)
