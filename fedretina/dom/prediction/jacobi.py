"""Singular values of small matrices by one-sided Jacobi rotations: no LAPACK, whose threads could hang (see `energy`)."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float64]

_SWEEPS = 4  # directions need to be good to a percent only: what they miss, the residual holds
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
    squares = np.einsum("ij,ij->i", rows[:, :size], rows[:, :size])
    for _ in range(_SWEEPS * (even - 1)):
        rows, squares = _rotate(rows, squares, size)
        rows, squares = rows[turn], squares[turn]
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


def _rotate(rows: Matrix, squares: Matrix, size: int) -> tuple[Matrix, Matrix]:
    """Make row i orthogonal to row i + half, for all i; return the rows and the squares of their lengths."""
    half = rows.shape[0] // 2
    first, second = rows[:half], rows[half:]
    cross = np.einsum("ij,ij->i", first[:, :size], second[:, :size])
    gap = squares[half:] - squares[:half]
    slope = 2 * cross / (gap + np.copysign(np.sqrt(gap * gap + 4 * cross * cross), gap) + _TINY)
    moved = slope * cross
    cosine = 1 / np.sqrt(1 + slope * slope)
    sine = (cosine * slope)[:, None]
    cosine = cosine[:, None]
    rotated = np.concatenate([cosine * first - sine * second, sine * first + cosine * second])
    return rotated, np.concatenate([squares[:half] - moved, squares[half:] + moved])
