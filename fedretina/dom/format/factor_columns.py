"""The header's column of factors (format version 2), and the order of their integers in the body."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedretina.dom.coding.layout import group_sizes
from fedretina.dom.prediction.factors import MAX_EXPONENT, MIN_EXPONENT
from fedretina.dom.quantisation.steps import Step


@dataclass(frozen=True)
class FactorColumns:
    """How the tensors' predictions are coded.

    Attributes
    ----------
    ranks : bytes
        One per tensor; empty if none is predicted.
    exponents : list of int
        One per rank, tensor by tensor: a product of two integers counts ``2**exponent``.
    pieces : list of list of int
        The lengths of the body's first pieces, by group.
    units : list of int
        On the lattice, one per predicted tensor: the exponent of the multiples to which it is rounded. Else empty.
    """

    ranks: bytes = b""
    exponents: tuple[int, ...] = ()
    pieces: tuple[tuple[int, ...], ...] = ()
    units: tuple[int, ...] = ()

    @property
    def is_on_lattice(self) -> bool:
        """Whether every prediction is rounded to multiples of a power of two."""
        return len(self.units) == sum(map(bool, self.ranks))

    def columns(self) -> list[Any]:
        """Return what travels."""
        return [self.ranks, self.exponents, self.pieces, self.units]


def read_factor_columns(column: Any) -> FactorColumns:
    """Read the column; raise `ValueError` if it is malformed."""
    ranks, exponents, pieces, units = column
    if not isinstance(ranks, bytes) or not all(isinstance(each, list) for each in (exponents, pieces, units)):
        raise ValueError("factors are not ranks, exponents, pieces and units")
    if len(exponents) != sum(ranks):
        raise ValueError(f"{len(exponents)} exponents of factors for {sum(ranks)} ranks")
    if len(units) not in {0, sum(map(bool, ranks))}:
        raise ValueError(f"{len(units)} units for {sum(map(bool, ranks))} predictions")
    if not all(type(each) is int and MIN_EXPONENT <= each <= MAX_EXPONENT for each in [*exponents, *units]):
        raise ValueError(f"an exponent of factors is not an integer in [{MIN_EXPONENT}, {MAX_EXPONENT}]")
    if not all(isinstance(group, list) and all(type(each) is int and each >= 0 for each in group) for group in pieces):
        raise ValueError("the lengths of factors' pieces are not lists of natural numbers")
    return FactorColumns(ranks, tuple(exponents), tuple(tuple(group) for group in pieces), tuple(units))


@dataclass(frozen=True)
class FactorOrder:
    """In which order the factors' rows lie in the body, and the sizes of the groups that they are cut into.

    Rows come by the size that their integers are likely to have, which both ends derive: a singular vector of height n has
    integers of about ``step / 2**exponent / sqrt(n)``. So integers of like spread lie together.
    """

    rows: NDArray[np.intp]
    sizes: NDArray[np.int64]
    groups: tuple[int, ...]

    @classmethod
    def of(
        cls, shapes: Sequence[tuple[int, int]], steps: Sequence[Step], exponents: Sequence[Sequence[int]]
    ) -> "FactorOrder":
        """Return the order for tensors of these shapes (as matrices), each with its step and its ranks' exponents.

        Rows are numbered tensor by tensor: a tensor's left factor, rank by rank, then its right one.
        """
        keys, sizes = [], []
        for shape, step, own in zip(shapes, steps, exponents, strict=True):
            octave = math.frexp(step.size)[1]  # logarithms are not the same on every machine
            for side in shape:
                keys += [2 * (octave - each) - side.bit_length() for each in own]
                sizes += [side] * len(own)
        order = np.argsort(-np.array(keys), kind="stable")
        sorted_keys, sorted_sizes = -np.array(keys)[order], np.array(sizes)[order]
        return cls(order, np.array(sizes), group_sizes(sorted_keys, sorted_sizes))
