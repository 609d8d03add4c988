"""How one tensor is described and coded: the words that encoder, header and decoder share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedretina.dom.coding.layout import LAYOUTS, is_sortable
from fedretina.dom.coding.trellis import MIN_TRELLIS_VALUES
from fedretina.dom.tensors import is_float
from fedretina.errors import Corrupt

SAME, STEPS, BITS, RAW, LOST, PREDICTED, TIED, ROTATED = range(8)
KINDS = ("same", "steps", "bits", "raw", "lost", "predicted", "tied", "rotated")
WITHOUT_BODY = (SAME, LOST, PREDICTED, TIED)
WITH_STEP = (STEPS, PREDICTED, ROTATED)
BIT_LAYOUTS = {0: "plain", 1: "by exponent", 2: "touched rows", 3: "touched rows, by exponent"}  # of differences of bits
_POOLED = 8
_LAYOUT_SHIFT, _LAYOUT_MASK = 4, 7
_TRELLIS = 0x80


@dataclass(frozen=True)
class Spec:
    """A tensor's name, dtype and shape."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The tensor's size uncompressed."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class Coding:
    """How one tensor is coded.

    Its kind, whether it shares its group with others (in which pool: version 2 has several), the order of its integers, and
    whether they follow a trellis.
    """

    kind: int
    pooled: bool = False
    layout: int = 0
    trellis: bool = False
    pool: int = 0

    @property
    def byte(self) -> int:
        """The coding as it travels."""
        detail = self.pool if self.pooled else self.layout
        return self.kind | _POOLED * self.pooled | detail << _LAYOUT_SHIFT | _TRELLIS * self.trellis

    @property
    def version(self) -> int:
        """The oldest format version that has this coding."""
        return 2 if self.pool or self.kind > LOST or (self.layout and self.kind == BITS) else 1

    @classmethod
    def of(cls, byte: int, version: int) -> "Coding":
        """Read a coding; raise `Corrupt` if the format version has no such coding."""
        kind, pooled = byte & 7, bool(byte & _POOLED)
        detail, trellis = byte >> _LAYOUT_SHIFT & _LAYOUT_MASK, bool(byte & _TRELLIS)
        found = cls(kind, pooled, 0 if pooled else detail, trellis, detail if pooled else 0)
        if kind >= len(KINDS) or not found._is_sound or found.version > version:
            raise Corrupt(f"the payload's header has the unknown coding {byte:#04x}; drop it")
        return found

    @property
    def _is_sound(self) -> bool:
        """Whether the kind may have such details."""
        if self.pooled:
            return not self.trellis and (self.kind == STEPS or (self.kind == BITS and not self.pool))
        if self.kind == BITS:
            return not self.trellis and self.layout <= max(BIT_LAYOUTS)
        return (self.kind == STEPS and self.layout < len(LAYOUTS)) or not (self.layout or self.trellis)

    def __str__(self) -> str:
        layout = BIT_LAYOUTS.get(self.layout, "") if self.kind == BITS else LAYOUTS[self.layout]
        details = (
            [layout] * bool(self.layout)
            + ["trellis"] * self.trellis
            + [f"pooled {self.pool}" if self.pool else "pooled"] * self.pooled
        )
        return KINDS[self.kind] + (f" ({', '.join(details)})" if details else "")


def group(specs: Sequence[Spec], codings: Sequence[Coding]) -> list[list[int]]:
    """Return the tensors (by position) that share the body's groups, in the body's order: pools first, then the others.

    Pooled integers on steps share the pool of their number, whatever their dtype: `format.pool` keeps them alike.
    Differences of bits share one per dtype, rotated tensors one.
    """
    pools: dict[tuple[int, int, str], list[int]] = {}
    own = []
    for index, (spec, coding) in enumerate(zip(specs, codings, strict=True)):
        if coding.pooled or coding.kind == ROTATED:
            dtype = spec.dtype.name if coding.kind == BITS else ""
            pools.setdefault((coding.kind, coding.pool, dtype), []).append(index)
        elif coding.kind not in WITHOUT_BODY:
            own.append([index])
    return [*pools.values(), *own]


def check_codings(specs: Sequence[Spec], codings: Sequence[Coding]) -> None:
    """Raise `Corrupt` if a tensor cannot have been coded as the header says."""
    for spec, coding in zip(specs, codings, strict=True):
        if coding.kind in (STEPS, ROTATED) and not is_float(spec.dtype):
            raise Corrupt(f"tensor {spec.name!r} is {spec.dtype} and coded on steps; drop the payload")
        if coding.kind == STEPS and coding.layout and not is_sortable(spec.shape, spec.count):
            raise Corrupt(f"tensor {spec.name!r} is too small to be sorted; drop the payload")
        if coding.kind == BITS and coding.layout:
            _check_bit_layout(spec, coding.layout)
        if coding.trellis and spec.count < MIN_TRELLIS_VALUES:
            raise Corrupt(f"tensor {spec.name!r} is too small for a trellis; drop the payload")


def _check_bit_layout(spec: Spec, layout: int) -> None:
    """Raise `Corrupt` if a tensor's differences of bits cannot have such a layout."""
    if layout & 1 and not is_float(spec.dtype):
        raise Corrupt(f"tensor {spec.name!r} is {spec.dtype} and sorted by exponent; drop the payload")
    if layout & 2 and (len(spec.shape) < 2 or not spec.count):
        raise Corrupt(f"tensor {spec.name!r} has no rows; drop the payload")
