from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom.prediction.factors import Factors, matrix_shape, predict, quantise_factors
from fedretina.dom.prediction.lanczos import Krylov


def some_factors(rng, shape=(30, 20), rank=5, size=2000):
    left, right = (rng.integers(-size, size, (rank, side)) for side in shape)
    return Factors(left, right, tuple(rng.integers(-20, 3, rank).tolist()))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9))
def test_every_order_of_summation_gives_the_same_bits(seed, rank):
    rng = np.random.default_rng(seed)
    factors = some_factors(rng, rank=rank)
    assert factors.is_exact
    order = rng.permutation(rank)
    other = Factors(factors.left[order], factors.right[order], tuple(factors.exponents[at] for at in order))
    one_by_one = np.zeros((30, 20))
    for left, right, exponent in zip(factors.left, factors.right, factors.exponents, strict=True):
        one_by_one += np.ldexp(np.outer(left, right).astype(float), exponent)
    for found in (other.rows(0, 30), one_by_one, factors.left.T * 2.0 ** np.array(factors.exponents) @ factors.right):
        assert np.array_equal(factors.rows(0, 30), found)


def test_sums_beyond_float64_are_told():
    big = np.full((1, 4), 2**26)
    assert Factors(big, big, (0,)).is_exact
    assert not Factors(big * 2, big, (0,)).is_exact
    both = np.concatenate([big, big])
    assert not Factors(both, both, (0, 0)).is_exact
    assert not Factors(both, both // 2**20, (0, 40)).is_exact


def test_quantised_factors_predict_within_their_step():
    rng = np.random.default_rng(0)
    matrix = (rng.standard_normal((80, 3)) @ rng.standard_normal((3, 50))).astype(np.float32) / 8
    for step in (0.5, 0.01):
        factors = quantise_factors(Krylov(matrix).svd(12), scale=1.0, step=step, rank=3)
        error = factors.rows(0, 80) - matrix
        assert np.sqrt(np.mean(error**2)) < 0.5 * step * np.sqrt(3 * 130 / 4000) * 1.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("unit", [None, -9])
def test_a_prediction_is_rounded_once(dtype, unit):
    rng = np.random.default_rng(1)
    factors = replace(some_factors(rng, size=50), unit=unit)
    base = rng.standard_normal(600).astype(dtype)
    exact = factors.rows(0, 30).reshape(-1)
    if unit:
        exact = np.round(exact * 2**9) / 2**9
    work = np.float64 if dtype is np.float64 else np.float32
    found = predict(factors, base, dtype=np.dtype(dtype))
    assert found.dtype == work
    assert np.array_equal(found, (exact + base.astype(np.float64)).astype(work))
    assert np.array_equal(predict(factors, None, dtype=np.dtype(dtype)), exact.astype(work))


def test_predictions_beyond_float32_stay_finite():
    factors = Factors(np.full((1, 4), 2**20), np.full((1, 4), -(2**20)), (200,))
    assert np.isfinite(predict(factors, None, dtype=np.dtype(np.float32))).all()


def test_shapes_of_matrices():
    assert matrix_shape((8, 3, 2, 2)) == (8, 12)
    assert matrix_shape((5,)) == (5, 1)
