import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedretina.dom.prediction.lanczos import Krylov, bidiagonal_svd


def decaying(height, width, seed=0):
    rng = np.random.default_rng(seed)
    count = min(height, width)
    left, right = (np.linalg.qr(rng.standard_normal((size, count)))[0] for size in (height, width))
    return ((left * np.exp(-np.arange(count) / 5)) @ right.T).astype(np.float32)


@pytest.mark.parametrize("shape", [(64, 64), (300, 40), (40, 300), (7, 200), (200, 4)])
def test_the_leading_values_are_numpys(shape):
    matrix = decaying(*shape)
    found = Krylov(matrix).svd(24)
    exact = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
    count = min(12, *shape)
    np.testing.assert_allclose(found.values[:count], exact[:count], rtol=0.01, atol=1e-3)


def test_what_the_leading_ranks_leave_is_what_numpys_leave():
    matrix = decaying(120, 90)
    found = Krylov(matrix).svd(24)
    left = matrix - (found.left[:8].T * found.values[:8]) @ found.right[:8]
    exact = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(left), np.linalg.norm(exact[8:]), rtol=0.01)


def test_a_matrix_of_rank_one_ends_the_search():
    found = Krylov(np.outer(np.arange(1, 9), np.ones(30)).astype(np.float32) / 8).svd(20)
    assert found.values.size < 5
    np.testing.assert_allclose(found.values[0], np.sqrt(30 * 204) / 8, rtol=1e-5)


def test_nothing_comes_of_zeros():
    assert not Krylov(np.zeros((8, 9), np.float32)).svd(5).values.size


def test_the_same_matrix_has_the_same_vectors():
    matrix = decaying(50, 60)
    assert np.array_equal(Krylov(matrix).svd(16).left, Krylov(matrix).svd(16).left)


def test_a_space_that_grows_tells_what_one_of_that_size_tells():
    matrix = np.random.default_rng(3).standard_normal((60, 40)).astype(np.float32)
    space = Krylov(matrix)
    first = space.svd(10)
    grown, whole = space.svd(30), Krylov(matrix).svd(30)
    assert first.values.size == 10
    assert np.array_equal(grown.left, whole.left)
    assert np.array_equal(grown.values, whole.values)


@given(size=st.integers(1, 48), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_decomposition_of_a_bidiagonal_matrix(size, seed):
    random = np.random.default_rng(seed)
    diagonal, above = np.abs(random.standard_normal(size)), np.abs(random.standard_normal(size - 1))
    matrix = np.diag(diagonal) + np.diag(above, 1)
    left, values, right = bidiagonal_svd(diagonal, above)
    assert np.allclose(values, np.linalg.svd(matrix)[1], atol=1e-7)
    assert np.allclose(left.T * values @ right, matrix, atol=1e-7)
    assert np.allclose(right @ right.T, np.eye(size), atol=1e-10)
