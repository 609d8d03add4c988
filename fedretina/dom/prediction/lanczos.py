"""The leading singular vectors of a matrix: Golub's and Kahan's bidiagonalisation, seeded, without BLAS.

Krylov spaces find the leading vectors in fewer passes than random projections do. A pass is a matrix times a vector, for
which `numpy.einsum` is nearly as fast as BLAS.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.prediction.jacobi import small_svd
from fedretina.dom.tensors import energy

Matrix: TypeAlias = NDArray[np.float32]

_SEED = 0
_LEAST = 1e-5  # of the largest coefficient: below, float32 has no more directions to give


@dataclass(frozen=True)
class Svd:
    """Leading singular vectors as rows, with their values, largest first."""

    left: Matrix
    values: NDArray[np.float64]
    right: Matrix


def leading_svd(matrix: Matrix, steps: int) -> Svd:
    """Return what so many steps tell of a matrix's singular vectors: about the leading two thirds are accurate.

    The matrix's values should be near 1 in size: their squares are summed in float32.
    """
    left, right, corner = _bidiagonalise(matrix, min(steps, *matrix.shape))
    if not corner.size:
        return Svd(left, np.zeros(0), right)
    inner_left, values, inner_right = small_svd(corner)
    return Svd(
        np.einsum("kl,ln->kn", inner_left.astype(np.float32), left),
        values,
        np.einsum("kl,lm->km", inner_right.astype(np.float32), right),
    )


def _bidiagonalise(matrix: Matrix, steps: int) -> tuple[Matrix, Matrix, NDArray[np.float64]]:
    """Return rows of U and V, and B, so that ``matrix V.T = U.T B`` with B upper bidiagonal."""
    left, right = (np.zeros((steps, size), np.float32) for size in matrix.shape)
    corner = np.zeros((steps, steps))
    chance = np.random.default_rng(_SEED).standard_normal(matrix.shape[:1]).astype(np.float32)
    following: Matrix = np.einsum("ij,i->j", matrix, chance)  # nothing but what the matrix's rows span
    beta = math.sqrt(energy(following))
    for step in range(steps if beta else 0):
        right[step] = following / np.float32(beta)
        if step:
            corner[step - 1, step] = beta
        column = _orthogonal(np.einsum("ij,j->i", matrix, right[step]), left[:step])
        alpha = math.sqrt(energy(column))
        if alpha <= _LEAST * corner.max():
            return left[:step], right[:step], corner[:step, :step]
        corner[step, step] = alpha
        left[step] = column / np.float32(alpha)
        following = _orthogonal(np.einsum("ij,i->j", matrix, left[step]), right[: step + 1])
        beta = math.sqrt(energy(following))
        if beta <= _LEAST * corner.max():
            return left[: step + 1], right[: step + 1], corner[: step + 1, : step + 1]
    size = steps if beta else 0
    return left[:size], right[:size], corner[:size, :size]


def _orthogonal(vector: Matrix, known: Matrix) -> Matrix:
    """Return a vector without its parts along known ones."""
    parts = np.einsum("kn,n->k", known, vector)
    orthogonal: Matrix = vector - np.einsum("kn,k->n", known, parts)
    return orthogonal
