import numpy as np
import pytest

from fedretina.dom.prediction.lanczos import leading_svd


def decaying(height, width, seed=0):
    rng = np.random.default_rng(seed)
    count = min(height, width)
    left, right = (np.linalg.qr(rng.standard_normal((size, count)))[0] for size in (height, width))
    return ((left * np.exp(-np.arange(count) / 5)) @ right.T).astype(np.float32)


@pytest.mark.parametrize("shape", [(64, 64), (300, 40), (40, 300), (7, 200), (200, 4)])
def test_the_leading_values_are_numpys(shape):
    matrix = decaying(*shape)
    found = leading_svd(matrix, 24)
    exact = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
    count = min(12, *shape)
    np.testing.assert_allclose(found.values[:count], exact[:count], rtol=0.01, atol=1e-3)


def test_what_the_leading_ranks_leave_is_what_numpys_leave():
    matrix = decaying(120, 90)
    found = leading_svd(matrix, 24)
    left = matrix - (found.left[:8].T * found.values[:8]) @ found.right[:8]
    exact = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(left), np.linalg.norm(exact[8:]), rtol=0.01)


def test_a_matrix_of_rank_one_ends_the_search():
    found = leading_svd(np.outer(np.arange(1, 9), np.ones(30)).astype(np.float32) / 8, 20)
    assert found.values.size < 5
    np.testing.assert_allclose(found.values[0], np.sqrt(30 * 204) / 8, rtol=1e-5)


def test_nothing_comes_of_zeros():
    assert not leading_svd(np.zeros((8, 9), np.float32), 5).values.size


def test_the_same_matrix_has_the_same_vectors():
    matrix = decaying(50, 60)
    assert np.array_equal(leading_svd(matrix, 16).left, leading_svd(matrix, 16).left)
