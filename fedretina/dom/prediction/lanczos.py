"""The leading singular vectors of a matrix: Golub's and Kahan's bidiagonalisation, seeded, without BLAS.

Krylov spaces find the leading vectors in fewer passes than random projections do. A pass is a matrix times a vector.

Vectors lie on a grid of 2**-22, so that the sums of a pass are exact in float64. Their order does not matter then: NumPy and
the compiled loops give the same bits, on every machine.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.kernels import Space, kernels

Matrix: TypeAlias = NDArray[np.float32]
Vector: TypeAlias = NDArray[np.float64]

MAX_SIDE = 2**22  # rows or columns: sums over more would not be exact
_SEED = 0
# kernels.c has these too.
_VECTOR_BITS, _COEFFICIENT_BITS, _PART_BITS, _EXACT_BITS = 22, 20, 27, 53
_LEAST = 1e-5  # of the largest coefficient: below, float32 has no more directions to give
_KNOWN = 1e-8  # of the largest value: smaller ones are lost in their squares
_TINY = 2.0**-900  # what is smaller counts as 0
_MATRIX_BITS = 20
_PASSES = 2  # of orthogonalisation: one leaves copies of what was found (Kahan: "twice is enough")
_STRIP = 2**15  # values that are rounded at once
_MAX_IN_FLOAT64 = 2**22  # values of a matrix that NumPy gets in float64: twice as fast, for twice the memory


@dataclass(frozen=True)
class Svd:
    """Leading singular vectors as rows, with their values, largest first."""

    left: Matrix
    values: NDArray[np.float64]
    right: Matrix

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> "Svd":
        """Return the vectors' values at some places of the matrix: column k of both kinds belongs to place k."""
        return Svd(self.left.take(rows, axis=1), self.values, self.right.take(columns, axis=1))

    @cached_property
    def peaks(self) -> tuple[Vector, Vector]:
        """The largest absolute value of each vector, by kind."""
        left, right = (np.abs(part).max(axis=1, initial=0).astype(np.float64) for part in (self.left, self.right))
        return left, right


class Krylov:
    """A matrix, and the space in which its leading singular vectors are looked for: it grows on demand.

    With ``U`` and ``V`` as rows, ``matrix V.T = U.T B``, where B is upper bidiagonal.

    Parameters
    ----------
    matrix : ndarray of float32
        Its values must be from -1 to 1. They are rounded to multiples of 2**-20, in place.

    Examples
    --------
    >>> matrix = np.outer([3, 4], [0.125, 0, 0]).astype(np.float32)
    >>> found = Krylov(matrix).svd(2)
    >>> np.round(found.values, 4).tolist(), np.abs(found.right.round(4)).tolist()
    ([0.625], [[1.0, 0.0, 0.0]])
    """

    def __init__(self, matrix: Matrix) -> None:
        for start in range(0, matrix.shape[0], strip := max(1, _STRIP // matrix.shape[1])):
            _round_to(2.0**-_MATRIX_BITS, matrix[start : start + strip])
        compiled = kernels()
        in_float64 = compiled is None and matrix.size <= _MAX_IN_FLOAT64
        self._matrix: NDArray[Any] = matrix.astype(np.float64) if in_float64 else matrix
        self._left, self._right = (np.zeros((0, size)) for size in matrix.shape)
        self._diagonal, self._above = np.zeros(0), np.zeros(0)
        self._small = np.zeros((0, 0)), np.zeros(0), np.zeros((0, 0))  # the bidiagonal matrix's left, values and right
        self._space = Space()
        # A product with the matrix holds nothing but what its rows span.
        self._following: Vector = np.empty(matrix.shape[1])
        direction = _random_direction(matrix.shape[0])
        if compiled is not None:
            compiled.begin(matrix, direction, self._following, self._space)
        else:
            self._following = np.einsum("ij,i->j", self._matrix, direction)
            self._space.beta = norm(self._following)
            self._space.is_whole = not self._space.beta

    def values(self, steps: int) -> Vector:
        """Return the singular values that so many steps find, largest first: about the leading two thirds are accurate."""
        self._grow_to(min(steps, *self._matrix.shape))
        return self._small[1]

    def svd(self, steps: int) -> Svd:
        """Return the singular vectors that so many steps find: see `values`."""
        self._grow_to(min(steps, *self._matrix.shape))
        left, values, right = self._small
        return Svd(_combine(left, self._left), values, _combine(right, self._right))

    def _grow_to(self, steps: int) -> None:
        """Grow, and decompose the bidiagonal matrix."""
        if steps <= self._left.shape[0]:
            return
        self._left, self._right = (_with_rows(each, steps) for each in (self._left, self._right))
        self._diagonal, self._above = (
            np.append(each, np.zeros(steps - each.size)) for each in (self._diagonal, self._above)
        )
        if (compiled := kernels()) is not None:
            arrays = [self._left, self._right, self._diagonal, self._above, self._following]
            compiled.bidiagonalise(self._matrix, arrays, self._space, steps)
        else:
            self._grow(steps)
        if size := self._space.size:
            self._small = bidiagonal_svd(self._diagonal[:size], self._above[: size - 1])

    def _grow(self, steps: int) -> None:
        space, left, right = self._space, self._left, self._right
        while not space.is_whole and space.size < steps:
            step = space.size
            right[step] = _unit_vector(self._following, space.beta)
            column = _orthogonal(np.einsum("ij,j->i", self._matrix, right[step]), left[:step])
            alpha = norm(column)
            if self._is_negligible(alpha):
                return
            self._diagonal[step] = alpha
            space.size = step + 1
            left[step] = _unit_vector(column, alpha)
            self._following = _orthogonal(np.einsum("ij,i->j", self._matrix, left[step]), right[: step + 1])
            space.beta = norm(self._following)
            if self._is_negligible(space.beta):
                return
            self._above[step] = space.beta

    def _is_negligible(self, coefficient: float) -> bool:
        space = self._space
        space.is_whole = coefficient <= _LEAST * space.largest
        space.largest = max(space.largest, coefficient)
        return bool(space.is_whole)


def bidiagonal_svd(
    diagonal: NDArray[np.float64], above: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (left, values, right) of an upper bidiagonal matrix B, by falling value; singular vectors are rows.

    B'B is tridiagonal, and LAPACK's solver for that has no threads, which could hang (see `energy`). Values below 1e-8 of
    the largest are lost in the squares, and so are their left vectors; factors need directions that are good to a percent.
    """
    solve = import_module("scipy.linalg").eigh_tridiagonal  # here: importing it takes as long as `fedretina.dom`
    before = np.append(0.0, above)
    squares, vectors = solve(np.square(diagonal) + np.square(before), diagonal[:-1] * above)
    values = np.sqrt(np.maximum(squares[::-1], 0))
    right = vectors.T[::-1]
    left = right * diagonal
    left[:, :-1] += right[:, 1:] * above
    return left / np.maximum(values, _KNOWN * values[0])[:, None], values, right


def norm(vector: Vector) -> float:
    """Return the Euclidean norm of a vector, whose values are rounded so that the sum of squares is exact.

    Examples
    --------
    >>> norm(np.array([3.0, 4.0]))
    5.0
    """
    most = float(np.abs(vector).max())
    if most < _TINY:
        return 0.0
    unit = 2.0 ** (math.frexp(most)[1] - (_EXACT_BITS - (vector.size - 1).bit_length()) // 2)
    rounded = np.rint(vector * (1 / unit))
    return math.sqrt(float(np.einsum("i,i->", rounded, rounded))) * unit


@lru_cache(16)
def _random_direction(size: int) -> Vector:
    chance = np.random.default_rng(_SEED).standard_normal(size)
    return _unit_vector(chance, norm(chance))


def _unit_vector(vector: Vector, length: float) -> Vector:
    """Return a vector divided by its length, on the grid."""
    return _round_to(2.0**-_VECTOR_BITS, vector / length)


def _round_to(unit: float, values: NDArray[Any]) -> NDArray[Any]:
    """Round values to multiples of a power of two, in place, and return them; `numpy.ldexp` takes twenty times as long."""
    values *= values.dtype.type(1 / unit)
    np.rint(values, out=values)
    values *= values.dtype.type(unit)
    return values


def _with_rows(rows: Vector, count: int) -> Vector:
    """Return an array with at least so many rows; new ones are 0."""
    more = max(count - rows.shape[0], 0)
    return np.concatenate([rows, np.zeros((more, rows.shape[1]))]) if more else rows


def _combine(weights: Vector, rows: Vector) -> Matrix:
    """Return sums of the leading rows."""
    leading = rows[: weights.shape[1]].astype(np.float32)
    found: Matrix = np.einsum("kl,ln->kn", weights.astype(np.float32), leading)
    return found


def _orthogonal(vector: Vector, known: Vector) -> Vector:
    """Return a vector without its parts along known ones."""
    for _ in range(_PASSES if known.shape[0] else 0):
        most = float(np.abs(vector).max())
        if most < _TINY:
            break
        unit = 2.0 ** (math.frexp(most)[1] - _COEFFICIENT_BITS)
        parts = np.einsum("kn,n->k", known, np.rint(vector * (1 / unit)))
        widest = float(np.abs(parts).max())
        if widest < _TINY:
            break
        parts = _round_to(2.0 ** (math.frexp(widest)[1] - _PART_BITS), parts)
        vector = vector - np.einsum("kn,k->n", known, parts) * unit
    return vector
