"""Models of replies that stay compressed until the aggregation touches them, and are let go after."""

import os
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from flwr.app import Array, ArrayRecord

from fedretina.dom import Model, Version, accept

NUMPY = "numpy.ndarray"  # Flower's name for arrays that it serialised from NumPy


class Source(Protocol):
    """Gives the arrays of one model."""

    @property
    def digest(self) -> str:
        """The model's version."""

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """Return the array of that name; the caller must not write into it."""


class LazyArray(Array):
    """One of Flower's arrays, read from its source each time that somebody asks.

    What `numpy` returns is the caller's own, as it is with Flower's arrays.

    Parameters
    ----------
    source : Source
        Who has it.
    name : str
        The array's name there.
    like : ndarray
        Tells dtype and shape; not kept.
    """

    def __init__(self, source: Source, name: str, like: np.ndarray[Any, Any]) -> None:
        self.__dict__.update(dtype=str(like.dtype), shape=tuple(like.shape), stype=NUMPY, _source=source, _name=name)

    @property
    def source(self) -> Source:
        """Who has it."""
        found: Source = self.__dict__["_source"]
        return found

    @property
    def data(self) -> bytes:
        """The array as Flower serialises it."""
        given = self.__dict__.get("_data")
        return given if given is not None else Array(self.source.array(self.__dict__["_name"])).data

    @data.setter
    def data(self, value: bytes) -> None:
        self.__dict__["_data"] = value

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return the array, the caller's own."""
        if "_data" in self.__dict__:
            return super().numpy()
        return np.array(self.source.array(self.__dict__["_name"]))

    def __reduce__(self) -> tuple[Any, ...]:
        return Array, (self.dtype, self.shape, self.stype, self.data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Array):
            return NotImplemented
        mine, theirs = ((a.dtype, a.shape, a.stype, a.data) for a in (self, other))
        return mine == theirs

    __hash__ = None  # type: ignore[assignment]  # as Flower's


LazyArray.__qualname__ = Array.__qualname__  # Flower writes it in front of what it sends


def lazy_record(source: Source, model: Model, names: list[str]) -> ArrayRecord:
    """Make a record of a source's arrays, in the order of the names; of the model only dtypes and shapes are used."""
    record = ArrayRecord()
    for name in names:
        record[name] = LazyArray(source, name, model[name])
    return record


def source_of(record: ArrayRecord) -> Source | None:
    """Give the source of a record that `lazy_record` made; None for any other.

    Examples
    --------
    >>> source_of(ArrayRecord({"w": Array(np.ones(1))})) is None
    True
    """
    first = next(iter(record.values()), None)
    return first.source if isinstance(first, LazyArray) else None


class Held:
    """A source for a version that is in memory anyway."""

    def __init__(self, version: Version) -> None:
        self.version = version

    @property
    def digest(self) -> str:
        """The version's."""
        return self.version.digest

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """Return the array of that name."""
        return self.version.model[name]


class Reply:
    """A source that keeps a payload, and decodes it when an array is asked for that is not among the decoded ones.

    Parameters
    ----------
    payload : bytes
        Known to be sound: it was decoded once when it came.
    digest : str
        Of the version that it leads to.
    base : Version or None
        What it builds on; replies of a round share it.
    pool : Pool
        Holds what is decoded now.
    """

    def __init__(self, payload: bytes, digest: str, base: Version | None, pool: "Pool") -> None:
        self.digest = digest
        self._payload, self._base, self._pool = payload, base, pool
        self._read: set[str] = set()
        self._spool: _Spool | None = None

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """Return the array of that name."""
        if self._spool is not None and (found := self._spool.read(name)) is not None:
            return found
        model = self._pool.get(self)
        if model is None:
            model = self._decode()
        self._read.add(name)
        return model[name]

    def _decode(self) -> Model:
        model = accept(self._payload, base=self._base).model
        if 0 < len(self._read) < len(model):
            # It was dropped half-read: somebody reads tensor by tensor over all replies, as a median does. Decoding
            # each reply once per tensor would take for ever, so from now on this one is read from a file.
            self._spool = _Spool(model, self._pool.folder)
        else:
            self._pool.put(self, model)
        self._read.clear()
        return model


class Pool:
    """The decoded models of replies: those used last, at most `max_bytes` in sum, one at least.

    A reply that nobody refers to any more gives its place back.

    Parameters
    ----------
    max_bytes : int
        Above 0.
    folder : Path
        Where replies are read from that are needed tensor by tensor and do not fit.
    """

    def __init__(self, max_bytes: int, folder: Path) -> None:
        self.max_bytes, self.folder = max_bytes, folder
        self._models: OrderedDict[int, Model] = OrderedDict()
        self._sizes: dict[int, int] = {}

    def get(self, reply: Reply) -> Model | None:
        """Return a reply's model if it is decoded now."""
        model = self._models.get(id(reply))
        if model is not None:
            self._models.move_to_end(id(reply))
        return model

    def put(self, reply: Reply, model: Model) -> None:
        """Hold a reply's model, and drop those used longest ago."""
        key = id(reply)
        if key not in self._models:
            weakref.finalize(reply, self._drop, key)
        self._models[key] = model
        self._sizes[key] = sum(array.nbytes for array in model.values())
        while len(self._models) > 1 and self.held_bytes > self.max_bytes:
            self._drop(next(iter(self._models)))

    @property
    def held_bytes(self) -> int:
        """What is held, in bytes."""
        return sum(self._sizes.values())

    def _drop(self, key: int) -> None:
        self._models.pop(key, None)
        self._sizes.pop(key, None)


class _Spool:
    """A model in a file that goes with the object."""

    def __init__(self, model: Model, folder: Path) -> None:
        handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
        self._path = Path(name)
        self._places: dict[str, tuple[int, np.dtype[Any], tuple[int, ...]]] = {}
        with os.fdopen(handle, "wb") as file:
            for key, array in model.items():
                self._places[key] = file.tell(), array.dtype, array.shape
                file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        forget: Callable[..., None] = self._path.unlink
        weakref.finalize(self, forget, missing_ok=True)

    def read(self, name: str) -> np.ndarray[Any, Any] | None:
        """Return the array of that name; None if somebody removed the file."""
        offset, dtype, shape = self._places[name]
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        try:
            with self._path.open("rb") as file:
                file.seek(offset)
                data = file.read(size)
        except FileNotFoundError:
            return None
        return np.frombuffer(data, dtype).reshape(shape)
