"""The leading singular vectors of a matrix: Golub's and Kahan's bidiagonalisation, seeded, without BLAS.

Krylov spaces find the leading vectors in fewer passes than random projections do. A pass is a matrix times a vector, for
which `numpy.einsum` is nearly as fast as BLAS.
"""

import math
from dataclasses import dataclass
from importlib import import_module
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.tensors import energy

Matrix: TypeAlias = NDArray[np.float32]

_SEED = 0
_LEAST = 1e-5  # of the largest coefficient: below, float32 has no more directions to give
_TINY = 1e-300


@dataclass(frozen=True)
class Svd:
    """Leading singular vectors as rows, with their values, largest first."""

    left: Matrix
    values: NDArray[np.float64]
    right: Matrix


class Krylov:
    """A matrix, and the space in which its leading singular vectors are looked for: it grows on demand.

    With ``U`` and ``V`` as rows, ``matrix V.T = U.T B``, where B is upper bidiagonal.

    Parameters
    ----------
    matrix : ndarray of float32
        Its values should be near 1 in size: their squares are summed in float32.

    Examples
    --------
    >>> matrix = np.outer([3, 4], [1, 0, 0]).astype(np.float32)
    >>> found = Krylov(matrix).svd(2)
    >>> np.round(found.values, 4).tolist(), np.abs(found.right.round(4)).tolist()
    ([5.0], [[1.0, 0.0, 0.0]])
    """

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        self._left, self._right = (np.zeros((0, size), np.float32) for size in matrix.shape)
        self._diagonal: list[float] = []
        self._above: list[float] = []
        chance = np.random.default_rng(_SEED).standard_normal(matrix.shape[:1]).astype(np.float32)
        self._following: Matrix = np.einsum("ij,i->j", matrix, chance)  # nothing but what the matrix's rows span
        self._beta = math.sqrt(energy(self._following))
        self._largest = 0.0  # of both diagonals
        self._is_whole = not self._beta

    def svd(self, steps: int) -> Svd:
        """Return what so many steps tell of the singular vectors: about the leading two thirds are accurate."""
        self._grow(min(steps, *self._matrix.shape))
        size = len(self._diagonal)
        if not size:
            return Svd(self._left[:0], np.zeros(0), self._right[:0])
        left, values, right = bidiagonal_svd(np.array(self._diagonal), np.array(self._above[: size - 1]))
        return Svd(
            np.einsum("kl,ln->kn", left.astype(np.float32), self._left[:size]),
            values,
            np.einsum("kl,lm->km", right.astype(np.float32), self._right[:size]),
        )

    def _grow(self, steps: int) -> None:
        self._left, self._right = (_with_rows(each, steps) for each in (self._left, self._right))
        left, right = self._left, self._right
        while not self._is_whole and (step := len(self._diagonal)) < steps:
            right[step] = self._following / np.float32(self._beta)
            column = _orthogonal(np.einsum("ij,j->i", self._matrix, right[step]), left[:step])
            alpha = math.sqrt(energy(column))
            if self._is_negligible(alpha):
                return
            self._diagonal.append(alpha)
            left[step] = column / np.float32(alpha)
            self._following = _orthogonal(np.einsum("ij,i->j", self._matrix, left[step]), right[: step + 1])
            self._beta = math.sqrt(energy(self._following))
            if self._is_negligible(self._beta):
                return
            self._above.append(self._beta)

    def _is_negligible(self, coefficient: float) -> bool:
        self._is_whole = coefficient <= _LEAST * self._largest
        self._largest = max(self._largest, coefficient)
        return self._is_whole


def bidiagonal_svd(
    diagonal: NDArray[np.float64], above: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (left, values, right) of an upper bidiagonal matrix B, by falling value; singular vectors are rows.

    B'B is tridiagonal, and LAPACK's solver for that has no threads, which could hang (see `energy`). Values below 1e-8 of
    the largest are lost in the squares; factors need directions that are good to a percent.
    """
    solve = import_module("scipy.linalg").eigh_tridiagonal  # here: importing it takes as long as `fedretina.dom`
    before = np.append(0.0, above)
    squares, vectors = solve(np.square(diagonal) + np.square(before), diagonal[:-1] * above)
    values = np.sqrt(np.maximum(squares[::-1], 0))
    right = vectors.T[::-1]
    left = right * diagonal
    left[:, :-1] += right[:, 1:] * above
    return left / np.maximum(values, _TINY)[:, None], values, right


def _with_rows(rows: Matrix, count: int) -> Matrix:
    """Return an array with at least so many rows; new ones are 0."""
    more = max(count - rows.shape[0], 0)
    return np.concatenate([rows, np.zeros((more, rows.shape[1]), np.float32)]) if more else rows


def _orthogonal(vector: Matrix, known: Matrix) -> Matrix:
    """Return a vector without its parts along known ones."""
    parts = np.einsum("kn,n->k", known, vector)
    orthogonal: Matrix = vector - np.einsum("kn,k->n", known, parts)
    return orthogonal
