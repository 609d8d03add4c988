"""Versions on disk, found by their digest."""

import os
import re
import struct
from contextlib import suppress
from pathlib import Path

import msgpack
import numpy as np
from blake3 import blake3

from fedretina.atomic import remove_abandoned, write_bytes
from fedretina.dom.tensors import DTYPES, Array, Model, dtype_code, freeze
from fedretina.dom.version import Version, digest_checked
from fedretina.errors import BadArgument

_PREFIX = struct.Struct("<4sII")  # magic, version, length of the head
_MAGIC, _VERSION = b"FREF", 0
_ALIGN = 64  # a file may be memory-mapped
_SUFFIX = ".ref"
_SIZES, _SIZE = "sizes", struct.Struct("<Q")
_LISTED_EVERY = 1024  # versions
_DIGEST = re.compile("[0-9a-f]{64}")


class ReferenceStore:
    """A folder of versions, one file each, named by digest; several processes may use it at once.

    A file appears by an atomic rename, so it is whole or absent. A file that was damaged later counts as absent and is
    removed. When the folder holds more than `max_bytes`, `put` removes the versions that were used longest ago, but
    never the one that it has just written.

    Parameters
    ----------
    folder : path
        Made if it does not exist.
    max_bytes : int, default 4 GiB
        Soft limit of what the folder holds.

    Raises
    ------
    BadArgument
        If `max_bytes` is not positive, or the folder cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> store = ReferenceStore(tempfile.mkdtemp())
    >>> version = Version.of({"w": np.ones(3, np.float32)})
    >>> store.put(version)
    >>> store.get(version.digest) == version
    True
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: int = 2**32) -> None:
        if max_bytes <= 0:
            raise BadArgument(f"ReferenceStore.max_bytes is {max_bytes}; allowed: a positive number of bytes")
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadArgument(f"the reference folder {self.folder} cannot be made: {error}") from error

    def put(self, version: Version) -> None:
        """Write a version; if it is there already, only mark it as used.

        Raises
        ------
        BadArgument
            If the system refuses: no space, no permission.
        """
        path = self._path(version.digest)
        if not _touch(path):
            try:
                write_bytes(path, _dump(version), private=True)
            except OSError as error:
                reason = error.strerror or error
                raise BadArgument(f"{path} cannot be written: {reason}; free space, or give another folder") from error
        self._evict(path)

    def get(self, digest: str) -> Version | None:
        """Return a version, its digest verified, or None if it is not held (any more)."""
        path = self._path(digest)
        try:
            data = bytearray(path.read_bytes())
        except OSError:
            return None
        model = _load(data)
        if model is None or digest_checked(model) != digest:
            path.unlink(missing_ok=True)
            return None
        _touch(path)
        return Version(freeze(model), digest)

    def __contains__(self, digest: object) -> bool:
        return isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None and self._path(digest).exists()

    @property
    def size(self) -> int:
        """What the store holds, in bytes."""
        return sum(size for _, size, _ in self._files())

    def _path(self, digest: str) -> Path:
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise BadArgument(f"{digest!r:.80} is no digest; give 64 hexadecimal digits")
        return self.folder / f"{digest}{_SUFFIX}"

    def _files(self) -> list[tuple[int, int, Path]]:
        """Return (last use, size, path) of each version; others may remove files meanwhile."""
        found = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
        return sorted(found)

    def _evict(self, keep: Path) -> None:
        """Remove the versions that were used longest ago, if the folder may hold too much."""
        if self._may_fit(keep):
            return
        files = self._files()
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= self.max_bytes:
                break
            if path != keep:
                path.unlink(missing_ok=True)
                total -= size
        remove_abandoned(self.folder)
        with suppress(OSError):  # without it, the next `put` lists the folder again
            write_bytes(self.folder / _SIZES, _SIZE.pack(total), private=True)

    def _may_fit(self, new: Path) -> bool:
        """Add a file's size to those written since the folder was listed last, and tell whether all of them fit.

        Listing thousands of files for each version would take longer than coding it. Each `put` appends a size, also that of
        a version which was there; what other processes remove counts until the next listing. So the sum is never too small,
        but for sizes that are appended while another process lists the folder.
        """
        try:
            with open(os.open(self.folder / _SIZES, os.O_RDWR | os.O_APPEND), "r+b", buffering=0) as file:  # noqa: PTH123
                file.write(_SIZE.pack(new.stat().st_size))
                file.seek(0)
                sizes = file.read(_SIZE.size * (_LISTED_EVERY + 1))
        except OSError:
            return False
        count = len(sizes) // _SIZE.size
        return count <= _LISTED_EVERY and sum(struct.unpack(f"<{count}Q", sizes[: count * _SIZE.size])) <= self.max_bytes


def _touch(path: Path) -> bool:
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGN) * _ALIGN


def _dump(version: Version) -> bytes:
    rows, arrays, offset = [], [], 0
    for name in sorted(version.model):
        array = version.model[name]
        rows.append([name, dtype_code(array.dtype), list(array.shape), offset])
        padding = _aligned(offset + array.nbytes) - offset - array.nbytes
        arrays += [array.tobytes(), bytes(padding)]
        offset += array.nbytes + padding
    head = msgpack.packb(rows)
    head += blake3(head).digest()
    prefix = _PREFIX.pack(_MAGIC, _VERSION, len(head))
    start = len(prefix) + len(head)
    return b"".join([prefix, head, bytes(_aligned(start) - start), *arrays])


def _load(data: bytearray) -> Model | None:
    """Return the model in a file's bytes, sharing them, or None if the file is damaged."""
    if len(data) < _PREFIX.size:
        return None
    magic, version, length = _PREFIX.unpack_from(data)
    head = bytes(data[_PREFIX.size : _PREFIX.size + length])
    if (magic, version) != (_MAGIC, _VERSION) or blake3(head[:-32]).digest() != head[-32:]:
        return None
    start = _aligned(_PREFIX.size + length)
    try:
        return {row[0]: _array(data, start, row) for row in msgpack.unpackb(head[:-32])}
    except (ValueError, TypeError, IndexError):
        return None  # shorter than its head says, or another release's head


def _array(data: bytearray, start: int, row: list[object]) -> Array:
    _, code, shape, offset = row
    assert isinstance(code, int)
    assert isinstance(shape, list)
    assert isinstance(offset, int)
    count = int(np.prod(shape, dtype=np.int64))
    if not count:
        return np.zeros(shape, DTYPES[code])
    return np.frombuffer(data, DTYPES[code], count=count, offset=start + offset).reshape(shape)
