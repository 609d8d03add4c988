"""The factors of all tensors as the body's first groups (format version 2), and back."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, islice

import numpy as np

from fedretina.dom.coding.integers import Decompressor, pack, splits, unpack
from fedretina.dom.config import Effort
from fedretina.dom.format.encoder import CodedTensor
from fedretina.dom.format.factor_columns import FactorColumns, FactorOrder
from fedretina.dom.format.header import Header
from fedretina.dom.format.spec import WITH_STEP, Spec
from fedretina.dom.parallel import map_all
from fedretina.dom.prediction.factors import Factors, matrix_shape
from fedretina.dom.quantisation.steps import Step
from fedretina.dom.tensors import Array
from fedretina.errors import Corrupt


def pack_factors(coded: Sequence[CodedTensor], effort: Effort, *, threads: int = 1) -> tuple[FactorColumns, list[bytes]]:
    """Return the header's column for the tensors' factors, and their pieces of the body."""
    known = [(each, each.factors) for each in coded if each.factors is not None]
    if not known:
        return FactorColumns(), []
    order = FactorOrder.of(
        [matrix_shape(each.spec.shape) for each, _ in known],
        [_step_of(each) for each, _ in known],
        [factors.exponents for _, factors in known],
    )
    rows = [row for _, factors in known for side in (factors.left, factors.right) for row in side]
    values = np.concatenate([rows[at] for at in order.rows.tolist()])
    parts = [*splits(values, order.groups)]
    groups = map_all(lambda part: pack(part, effort), parts, threads=threads, weigh=lambda part: part.nbytes)
    columns = FactorColumns(
        ranks=bytes(0 if each.factors is None else each.factors.rank for each in coded),
        exponents=tuple(exponent for _, factors in known for exponent in factors.exponents),
        pieces=tuple(tuple(map(len, pieces)) for pieces in groups),
        units=tuple(factors.unit for _, factors in known if factors.unit is not None),
    )
    return columns, [piece for pieces in groups for piece in pieces]


def unpack_factors(
    header: Header, body: bytes, specs: Sequence[Spec], decompressor: Decompressor
) -> tuple[dict[int, Factors], int]:
    """Return the factors by tensor (its position), and how many bytes of the body they take; raise `Corrupt` if unsound."""
    columns = header.factors
    if not any(columns.ranks):
        return {}, 0
    places = [place for place, rank in enumerate(columns.ranks) if rank]
    every = iter(columns.exponents)
    exponents = [tuple(islice(every, columns.ranks[place])) for place in places]
    shapes = [_checked_shape(specs[place], columns.ranks[place]) for place in places]
    by_tensor = dict(zip(_with_steps(header), header.steps, strict=True))
    order = FactorOrder.of(shapes, [by_tensor[place] for place in places], exponents)
    lengths = [length for group in columns.pieces for length in group]
    ends = [*accumulate(lengths)]
    if ends[-1:] and ends[-1] > len(body):
        raise Corrupt("the pieces of factors are longer than the body; drop the payload")
    view = memoryview(body)
    values = unpack(
        [view[end - length : end] for length, end in zip(lengths, ends, strict=True)], order.groups, decompressor
    )
    rows: list[Array] = [np.empty(0)] * order.rows.size
    for at, row in zip(order.rows.tolist(), splits(values, order.sizes[order.rows].tolist()), strict=True):
        rows[at] = row
    factors = {}
    taken = iter(rows)
    units: Sequence[int | None] = columns.units or [None] * len(places)
    for place, own, unit in zip(places, exponents, units, strict=True):
        left, right = (np.stack([next(taken) for _ in own]) for _ in range(2))
        factors[place] = Factors(left, right, own, unit)
        if not factors[place].is_exact:
            raise Corrupt(f"tensor {specs[place].name!r} has factors whose product is not exact; drop the payload")
    return factors, ends[-1]


def _with_steps(header: Header) -> Iterator[int]:
    return (place for place, coding in enumerate(header.codings) if coding.kind in WITH_STEP)


def _checked_shape(spec: Spec, rank: int) -> tuple[int, int]:
    """Return a predicted tensor's shape as a matrix; raise `Corrupt` if it has fewer rows or columns than ranks."""
    shape = matrix_shape(spec.shape) if len(spec.shape) >= 2 else (0, 0)
    if rank > min(shape):
        raise Corrupt(f"tensor {spec.name!r} of shape {spec.shape} has {rank} factors; drop the payload")
    return shape


def _step_of(coded: CodedTensor) -> Step:
    assert coded.step is not None
    return coded.step
