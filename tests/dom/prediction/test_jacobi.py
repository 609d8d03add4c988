import numpy as np
import pytest

from fedretina.dom.prediction.jacobi import small_svd


@pytest.mark.parametrize("size", [1, 2, 5, 16, 33])
def test_singular_values_are_numpys_and_vectors_rebuild_the_matrix(size):
    matrix = np.random.default_rng(size).standard_normal((size, size))
    left, values, right = small_svd(matrix)
    np.testing.assert_allclose(values, np.linalg.svd(matrix, compute_uv=False), atol=0.1)
    np.testing.assert_allclose(np.einsum("k,ki,kj->ij", values, left, right), matrix, atol=1e-9)


def test_rows_of_a_singular_matrix_are_finite():
    left, values, right = small_svd(np.ones((4, 4)))
    np.testing.assert_allclose(values, [4, 0, 0, 0], atol=1e-9)
    assert np.isfinite(left).all()
    assert np.isfinite(right).all()
