"""Singular values of small matrices by one-sided Jacobi rotations: no LAPACK, whose threads could hang (see `energy`)."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float64]

_SWEEPS = 5  # directions need to be good to a percent only: what they miss, the residual holds
_TINY = 1e-300


def small_svd(matrix: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Return (left, values, right) of a square matrix, by falling value: ``matrix ~ left.T * values times right``.

    Singular vectors are rows. In each round, half of the rows are rotated against the other half, all pairs at once; after
    ``size - 1`` rounds every pair has met.
    """
    size = matrix.shape[0]
    even = size + size % 2
    rows = np.zeros((even, size + even))  # columns of the matrix, and what made them
    rows[:size, :size] = matrix.T
    rows[:, size:] = np.eye(even)
    turn = _turn(even)
    for _ in range(_SWEEPS * (even - 1)):
        rows = _rotate(rows, size)[turn]
    values = np.sqrt(np.einsum("ij,ij->i", rows[:, :size], rows[:, :size]))
    order = np.argsort(-values, kind="stable")[:size]
    values = values[order]
    left = rows[order, :size] / np.maximum(values, _TINY)[:, None]
    return left, values, rows[order, size : 2 * size]


def _turn(size: int) -> NDArray[np.intp]:
    """Return the order that gives every row its next partner: the first one stays, the others move on by one place."""
    half = size // 2
    ring = [*range(1, half), *range(size - 1, half - 1, -1)]
    moved = ring[-1:] + ring[:-1]
    order = np.zeros(size, np.intp)
    order[ring] = moved
    return order


def _rotate(rows: Matrix, size: int) -> Matrix:
    """Make row i orthogonal to row i + half, for all i."""
    half = rows.shape[0] // 2
    first, second = rows[:half], rows[half:]
    a, b = first[:, :size], second[:, :size]
    cross = np.einsum("ij,ij->i", a, b)
    gap = np.einsum("ij,ij->i", b, b) - np.einsum("ij,ij->i", a, a)
    slope: Any = 2 * cross / (gap + np.where(gap < 0, -1.0, 1.0) * np.sqrt(gap * gap + 4 * cross * cross) + _TINY)
    cosine = 1 / np.sqrt(1 + slope * slope)
    sine = (cosine * slope)[:, None]
    cosine = cosine[:, None]
    return np.concatenate([cosine * first - sine * second, sine * first + cosine * second])
