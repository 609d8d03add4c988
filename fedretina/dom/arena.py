"""Memory for many arrays of middle size: in blocks that the system maps by huge pages."""

import math
from threading import Lock
from typing import Any

import numpy as np

from fedretina.dom.tensors import Array

_BLOCK = 2**24  # bytes: at most so much stays in memory for one array that outlives its neighbours
_LEAST, _MOST = 2**16, 2**22  # bytes of an array; NumPy itself asks for huge pages from 4 MiB on
_ALIGNED = 64


class Arena:
    """Makes arrays, from several threads.

    The first use of a page takes about as long as decoding its values. NumPy asks the system for huge pages where an array
    has 4 MiB and more, so blocks of 16 MiB have few of them. Smaller and larger arrays get memory of their own.

    Examples
    --------
    >>> Arena().empty(3, np.float32).shape
    (3,)
    """

    def __init__(self) -> None:
        self._block = np.empty(0, np.uint8)
        self._used = 0
        self._lock = Lock()

    def empty(self, count: int, dtype: np.dtype[Any] | type[np.generic]) -> Array:
        """Return an array of so many values, which are not set."""
        size = count * np.dtype(dtype).itemsize
        if not _LEAST <= size < _MOST:
            return np.empty(count, dtype)
        with self._lock:
            start = math.ceil(self._used / _ALIGNED) * _ALIGNED
            if start + size > self._block.size:
                self._block, start = np.empty(_BLOCK, np.uint8), 0
            self._used = start + size
            memory = self._block[start : start + size]
        return memory.view(dtype)
