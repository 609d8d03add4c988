"""Flower's arrays and records whose data are read from a source only when somebody asks for them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from flwr.app import Array, ArrayRecord

from fedretina.flower.sources import Source

NUMPY = "numpy.ndarray"  # Flower's name for arrays that it serialised from NumPy


class TensorSpec(Protocol):
    """A tensor's dtype and shape: an array has them, and so has a payload's description of one."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""


class LazyArray(Array):
    """One of Flower's arrays, read from its source each time that somebody asks.

    `numpy` returns an array that the caller may change, as with Flower's arrays.

    Parameters
    ----------
    source : Source
        Has the array.
    name : str
        The array's name in the source.
    spec : TensorSpec
        Its dtype and shape.
    """

    def __init__(self, source: Source, name: str, spec: TensorSpec) -> None:
        self.__dict__.update(dtype=str(spec.dtype), shape=tuple(spec.shape), stype=NUMPY, _source=source, _name=name)

    @property
    def source(self) -> Source:
        """The source that has the array."""
        found: Source = self.__dict__["_source"]
        return found

    @property
    def name(self) -> str:
        """The array's name in its source."""
        found: str = self.__dict__["_name"]
        return found

    @property
    def is_unchanged(self) -> bool:
        """Whether nobody has set other data."""
        return "_data" not in self.__dict__

    @property
    def data(self) -> bytes:
        """The array as Flower serialises it."""
        if self.is_unchanged:
            return Array(self.source.array(self.name)).data
        given: bytes = self.__dict__["_data"]
        return given

    @data.setter
    def data(self, value: bytes) -> None:
        self.__dict__["_data"] = value

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return a copy of the array."""
        return np.array(self.source.array(self.name)) if self.is_unchanged else super().numpy()

    def __reduce__(self) -> tuple[Any, ...]:
        return Array, (self.dtype, self.shape, self.stype, self.data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Array):
            return NotImplemented
        if isinstance(other, LazyArray) and self._reads_the_same(other):
            return True
        mine, theirs = ((a.dtype, a.shape, a.stype, a.data) for a in (self, other))
        return mine == theirs

    def _reads_the_same(self, other: "LazyArray") -> bool:
        same = (self.name, self.source.digest) == (other.name, other.source.digest)
        return same and self.is_unchanged and other.is_unchanged

    __hash__ = None  # type: ignore[assignment]  # as Flower's


LazyArray.__qualname__ = Array.__qualname__  # Flower writes it in front of what it sends


def lazy_record(source: Source, specs: Mapping[str, TensorSpec], names: Sequence[str]) -> ArrayRecord:
    """Return a record of a source's arrays, in the order of the names; nothing is read."""
    record = ArrayRecord()
    for name in names:
        record[name] = LazyArray(source, name, specs[name])
    return record


def source_of(record: ArrayRecord) -> Source | None:
    """Return the source of a record that `lazy_record` made; None for any other record, and for one that was changed.

    Examples
    --------
    >>> source_of(ArrayRecord({"w": Array(np.ones(1))})) is None
    True
    """
    first = next(iter(record.values()), None)
    if not isinstance(first, LazyArray):
        return None
    source = first.source
    unchanged = all(
        isinstance(array, LazyArray) and array.is_unchanged and array.source is source and array.name == name
        for name, array in record.items()
    )
    return source if unchanged else None
