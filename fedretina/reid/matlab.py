"""Read texts and numbers of a MATLAB 5 file, with bounded memory, also if the file is damaged.

scipy's reader is made for trusted files: a single flipped bit can end the process with a segmentation fault. The format is
MathWorks' "MAT-File Format", level 5. An element is a tag (type, size) and data; arrays contain further elements.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedretina.errors import Corrupt, Truncated

Value = list[str] | NDArray[np.generic]

HEADER = 128
LARGEST = 2**26
"""Bytes of one decompressed variable, at most."""
_MATRIX, _COMPRESSED = 14, 15
_CELL, _CHAR = 1, 4
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}


def read_matlab(data: bytes) -> dict[str, Value]:
    """Read the variables that are real numbers or cells of text. Other variables are left out.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    dict of str to list of str or ndarray
        The texts of a cell array, column by column; numbers as a flat array of their stored type.

    Raises
    ------
    Corrupt
        The file is damaged, or not of MATLAB 5 to 7; `Truncated` if it ends too early.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[HEADER - 2 : HEADER])
    if order is None:
        raise Corrupt("no header of MATLAB 5 to 7")
    found = {}
    for element in _Elements(data[HEADER:], order):
        kind, content = _unpacked(*element, order)
        if kind == _MATRIX:
            name, value = _variable(content, order)
            if value is not None:
                found[name] = value
    return found


@dataclass(frozen=True)
class _Elements:
    """Iterates over the elements in some bytes: type and content of each."""

    data: bytes
    order: str

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 8 <= len(self.data):
            kind, size = np.frombuffer(self.data, f"{self.order}u4", 2, at).tolist()
            if kind >> 16:  # at most 4 bytes, in the tag itself
                kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
            else:
                start, step = at + 8, 8 + (size if kind == _COMPRESSED else -(-size // 8) * 8)
            if start + size > len(self.data) or (start == at + 4 and size > 4):
                raise Truncated("an element ends behind the file")
            yield kind, self.data[start : start + size]
            at += step


def _unpacked(kind: int, content: bytes, order: str) -> tuple[int, bytes]:
    """Return an element, or the first element in a compressed one."""
    if kind != _COMPRESSED:
        return kind, content
    return next(iter(_Elements(_decompressed(content), order)), (0, b""))


def _decompressed(data: bytes) -> bytes:
    unzip = zlib.decompressobj()
    try:
        whole = unzip.decompress(data, LARGEST)
    except zlib.error as error:
        raise Corrupt("a variable cannot be decompressed") from error
    if unzip.unconsumed_tail:
        raise Corrupt(f"a variable has more than {LARGEST} bytes")
    return whole


def _variable(content: bytes, order: str) -> tuple[str, Value | None]:
    """Read the name and the value of an array; the value is None for kinds that are not supported."""
    parts = list(_Elements(content, order))
    if len(parts) < 3 or len(parts[0][1]) != 8:
        raise Corrupt("an array has no flags, dimensions or name")
    kind, name, values = _class_of(parts[0][1], order), parts[2][1].decode("latin-1"), parts[3:]
    if kind == _CELL:
        return name, [_text(cell, order) for _, cell in values]
    if kind != _CHAR and len(values) == 1 and values[0][0] in _NUMBERS:
        return name, _numbers(*values[0], order)
    return name, None


def _class_of(flags: bytes, order: str) -> int:
    return int(np.frombuffer(flags, f"{order}u4")[0]) & 0xFF


def _numbers(kind: int, content: bytes, order: str) -> NDArray[np.generic]:
    dtype = np.dtype(order + _NUMBERS[kind])
    if len(content) % dtype.itemsize:
        raise Truncated("an array ends in the middle of a number")
    return np.frombuffer(content, dtype)


def _text(cell: bytes, order: str) -> str:
    """Read a cell with one row of characters."""
    parts = list(_Elements(cell, order))
    if len(parts) != 4 or _class_of(parts[0][1].ljust(8), order) != _CHAR or parts[3][0] not in _TEXTS:
        raise Corrupt("a cell holds no text")
    encoding = _TEXTS[parts[3][0]]
    try:
        return parts[3][1].decode(encoding + ("-le" if order == "<" else "-be") if encoding == "utf-16" else encoding)
    except UnicodeDecodeError as error:
        raise Corrupt("a cell holds no text") from error
