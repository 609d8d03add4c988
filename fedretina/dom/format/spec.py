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

SAME, STEPS, BITS, RAW, LOST, PREDICTED = range(6)
KINDS = ("same", "steps", "bits", "raw", "lost", "predicted")
WITHOUT_BODY = (SAME, LOST, PREDICTED)
WITH_STEP = (STEPS, PREDICTED)
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

    Its kind, whether it shares its group with others, the order of its integers, and whether they follow a trellis.
    """

    kind: int
    pooled: bool = False
    layout: int = 0
    trellis: bool = False

    @property
    def byte(self) -> int:
        """The coding as it travels."""
        return self.kind | _POOLED * self.pooled | self.layout << _LAYOUT_SHIFT | _TRELLIS * self.trellis

    @classmethod
    def of(cls, byte: int) -> "Coding":
        """Read a coding; raise `Corrupt` if there is no such coding."""
        kind, pooled = byte & 7, bool(byte & _POOLED)
        layout, trellis = byte >> _LAYOUT_SHIFT & _LAYOUT_MASK, bool(byte & _TRELLIS)
        own = bool(layout) or trellis
        sound = kind < len(KINDS) and layout < len(LAYOUTS)
        if not sound or (pooled and (kind not in (STEPS, BITS) or own)) or (own and kind != STEPS):
            raise Corrupt(f"the payload's header has the unknown coding {byte:#04x}; drop it")
        return cls(kind, pooled, layout, trellis)

    def __str__(self) -> str:
        details = [LAYOUTS[self.layout]] * bool(self.layout) + ["trellis"] * self.trellis + ["pooled"] * self.pooled
        return KINDS[self.kind] + (f" ({', '.join(details)})" if details else "")


def group(specs: Sequence[Spec], codings: Sequence[Coding]) -> list[list[int]]:
    """Return the tensors (by position) that share the body's groups, in the body's order: pools first, then the others.

    All pooled integers on steps share one pool, whatever their dtype: `format.pool` keeps them alike. Differences of
    bits share one per dtype.
    """
    pools: dict[tuple[int, str], list[int]] = {}
    own = []
    for index, (spec, coding) in enumerate(zip(specs, codings, strict=True)):
        if coding.pooled:
            pools.setdefault((coding.kind, spec.dtype.name if coding.kind == BITS else ""), []).append(index)
        elif coding.kind not in WITHOUT_BODY:
            own.append([index])
    return [*pools.values(), *own]


def check_codings(specs: Sequence[Spec], codings: Sequence[Coding]) -> None:
    """Raise `Corrupt` if a tensor cannot have been coded as the header says."""
    for spec, coding in zip(specs, codings, strict=True):
        if coding.kind == STEPS and not is_float(spec.dtype):
            raise Corrupt(f"tensor {spec.name!r} is {spec.dtype} and coded on steps; drop the payload")
        if coding.layout and not is_sortable(spec.shape, spec.count):
            raise Corrupt(f"tensor {spec.name!r} is too small to be sorted; drop the payload")
        if coding.trellis and spec.count < MIN_TRELLIS_VALUES:
            raise Corrupt(f"tensor {spec.name!r} is too small for a trellis; drop the payload")
