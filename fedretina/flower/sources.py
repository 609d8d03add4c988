"""Where the arrays of lazy records come from: a version in memory, a reply's payload, or a stream of the server."""

import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fedretina.dom import Array, Model, Stream, Version, accept
from fedretina.errors import Corrupt


class Source(Protocol):
    """Gives the arrays of one model."""

    @property
    def digest(self) -> str:
        """Digest of the model's version."""

    def array(self, name: str) -> Array:
        """Return the array of that name; the caller must not write into it."""


class VersionSource:
    """The arrays of a version that is in memory."""

    def __init__(self, version: Version) -> None:
        self.version = version

    @property
    def digest(self) -> str:
        """Digest of the version."""
        return self.version.digest

    def array(self, name: str) -> Array:
        """Return the array of that name."""
        return self.version.model[name]


class ReplySource:
    """The arrays of a reply: its payload is kept, and decoded when an array is read that is not in the cache.

    Parameters
    ----------
    payload : bytes
        Known to be sound: it was decoded once when it came.
    digest : str
        Digest of the version that it leads to.
    base : Version or None
        The version that it builds on; the replies of a round share it.
    cache : ModelCache
        Holds the models that are decoded now.
    """

    def __init__(self, payload: bytes, digest: str, base: Version | None, cache: "ModelCache") -> None:
        self.digest = digest
        self._payload, self._base, self._cache = payload, base, cache
        self._read_names: set[str] = set()
        self._file: _ModelFile | None = None

    def array(self, name: str) -> Array:
        """Return the array of that name."""
        if self._file is not None and (found := self._file.read(name)) is not None:
            return found
        model = self._cache.get(self)
        if model is None:
            model = self._decode()
        self._read_names.add(name)
        return model[name]

    def _decode(self) -> Model:
        model = accept(self._payload, base=self._base).model
        if 0 < len(self._read_names) < len(model):
            # The cache dropped the model before all its tensors were read: somebody reads tensor by tensor over all replies,
            # as a median does. Decoding each reply once for each tensor would be too slow, so this model goes to a file.
            self._file = _ModelFile(model, self._cache.folder)
        else:
            self._cache.put(self, model)
        self._read_names.clear()
        return model


class StreamSource:
    """The arrays of a version that a node published; the stream decodes it when somebody reads one.

    If the version turns out to be corrupt, the stream discards it. This source then stands for the version before, which
    stays in force.

    Parameters
    ----------
    stream : Stream
        The node's stream.
    digest : str
        Digest of the version.
    cache : ModelCache
        Holds the version once newer ones have replaced it in the stream.

    Attributes
    ----------
    specs : mapping
        Dtype and shape of each tensor, by name.
    """

    def __init__(self, stream: Stream, digest: str, cache: "ModelCache") -> None:
        self._stream, self._digest, self._cache = stream, digest, cache
        self.specs = stream.tensors

    @property
    def digest(self) -> str:
        """Digest of the version, or of the one that is in force instead."""
        in_force = self._stream.log.newest
        return in_force if self._digest in self._stream.discarded and in_force is not None else self._digest

    def array(self, name: str) -> Array:
        """Return the array of that name; `Corrupt` if no version is in force that has it."""
        model = self._cache.get(self)
        if model is None:
            model = self._read()
            if self.digest != self._stream.log.newest:
                self._cache.put(self, model)
        if name not in model:
            raise Corrupt(f"stream {self._stream.name!r}: version {self.digest[:8]} has no tensor {name!r}; drop the reply")
        return model[name]

    def _read(self) -> Model:
        try:
            return self._stream.version(self.digest).model
        except Corrupt:
            if self._stream.log.newest is None:
                raise
            return self._stream.version(self.digest).model


class ModelCache:
    """Decoded models by source: those used last, at most `max_bytes` in sum, one at least.

    A model leaves the cache when nobody refers to its source any more.

    Parameters
    ----------
    max_bytes : int
        Limit of the models' sizes in sum, above 0.
    folder : Path
        Folder for the files of models that are read tensor by tensor and do not fit.
    """

    def __init__(self, max_bytes: int, folder: Path) -> None:
        self.max_bytes, self.folder = max_bytes, folder
        self._models: weakref.WeakKeyDictionary[Source, Model] = weakref.WeakKeyDictionary()  # the one used last is last

    def get(self, source: Source) -> Model | None:
        """Return a source's model if it is decoded now."""
        model = self._models.pop(source, None)
        if model is not None:
            self._models[source] = model
        return model

    def put(self, source: Source, model: Model) -> None:
        """Keep a source's model, and drop those used longest ago."""
        self._models.pop(source, None)
        self._models[source] = model
        while len(self._models) > 1 and self.held_bytes > self.max_bytes:
            del self._models[next(iter(self._models.keys()))]

    @property
    def held_bytes(self) -> int:
        """Size of the models in the cache, in bytes."""
        return sum(array.nbytes for model in self._models.values() for array in model.values())


class _ModelFile:
    """A model in a temporary file, which is removed with this object."""

    def __init__(self, model: Model, folder: Path) -> None:
        handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
        self._path = Path(name)
        self._entries: dict[str, tuple[int, np.dtype[Any], tuple[int, ...]]] = {}  # offset in bytes, dtype, shape
        with os.fdopen(handle, "wb") as file:
            for key, array in model.items():
                self._entries[key] = file.tell(), array.dtype, array.shape
                file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        remove: Callable[..., None] = self._path.unlink
        weakref.finalize(self, remove, missing_ok=True)

    def read(self, name: str) -> Array | None:
        """Return the array of that name; None if somebody removed the file."""
        offset, dtype, shape = self._entries[name]
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        try:
            with self._path.open("rb") as file:
                file.seek(offset)
                data = file.read(size)
        except FileNotFoundError:
            return None
        return np.frombuffer(data, dtype).reshape(shape)
