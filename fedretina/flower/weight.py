"""What a record weighs on the wire."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from flwr.app import Array, ArrayRecord

from fedretina.dom import Model

_SMALL = 2**16  # equal arrays up to this size are looked for: larger ones that are equal are no trained weights


class Part(Protocol):
    """What Flower sends: an object that can be serialised, and those inside it."""

    @property
    def children(self) -> Mapping[str, "Part"] | None:
        """The objects inside, by identifier."""

    def deflate(self) -> bytes:
        """Serialise this object without those inside."""


def weight(part: Part) -> int:
    """Measure what a record puts on the wire, in bytes: the sum of Flower's serialised objects, heads included.

    The message's own metadata (random identifiers, times) is not in it, so equal contents weigh the same in every run.

    Examples
    --------
    >>> weight(ArrayRecord({"w": Array(np.ones(1000, np.float32))})) > 4000
    True
    """
    inside = (part.children or {}).values()
    return len(part.deflate()) + sum(weight(child) for child in inside)


def weight_of_model(model: Model) -> int:
    """Tell what a model would weigh as an ArrayRecord, without serialising it: what plain Flower would have sent.

    Flower sends objects by their content, so arrays that are equal count once.

    Parameters
    ----------
    model : mapping of str to ndarray
        In any order: it makes no difference.

    Returns
    -------
    int
        Bytes; the same as `weight` of the record.

    Examples
    --------
    >>> model = {"w": np.arange(1000.0), "b": np.zeros(9), "c": np.zeros(9)}
    >>> weight_of_model(model) == weight(ArrayRecord({name: Array(array) for name, array in model.items()}))
    True
    """
    seen: dict[tuple[Any, ...], int] = {}
    rows = []
    for name, array in model.items():
        same: object = array.tobytes() if array.nbytes <= _SMALL else name
        rows.append((name, str(array.dtype), array.shape, seen.setdefault((str(array.dtype), array.shape, same), len(seen))))
    return _weight_of_rows(tuple(rows))


@lru_cache(maxsize=64)
def _weight_of_rows(rows: tuple[tuple[str, str, tuple[int, ...], int], ...]) -> int:
    """Weigh a record of stand-ins: arrays of the same dtypes and shapes, as equal and as different as the rows say."""
    record = ArrayRecord()
    for name, dtype, shape, number in rows:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        data = np.random.default_rng(number).bytes(size)
        record[name] = Array(np.frombuffer(data, np.dtype(dtype)).reshape(shape))
    return weight(record)
