"""A random rotation of a vector: signs by chance, then the Walsh-Hadamard transform, block by block.

Afterwards all values are spread like normal ones, whatever they were, so that a step of several times their root mean square
still tells a little of each of them (DRIVE, Vargaftik et al., NeurIPS 2021; EDEN, ICML 2022). Back, it adds and subtracts
integers only: every machine gets the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from fedretina.dom.tensors import Array
from fedretina.errors import Corrupt

_MOST = 8  # a block has at most 4**8 values, which stay in a core's cache
_PADDING, _LEAST_PADDING = 1 / 16, 16  # of the values, and values: how many may be added
_PURPOSE = b"fedretina rotation"


@dataclass(frozen=True)
class Rotation:
    """A rotation of `count` values that follows from a seed.

    Each block of ``4**exponent`` values takes values from all over the vector, every so many: what is large in one place
    is spread over all of it.

    Examples
    --------
    >>> rotation = Rotation(5, b"seed")
    >>> vector = np.float32([3, 0, 0, 0, 4])
    >>> rotated = rotation.rotate(vector)
    >>> round(float(np.square(rotated).sum()), 3)
    25.0
    >>> rotation.unrotate(np.rint(rotated * 2**10).astype(np.int64)) * 2.0**-10 / 2**rotation.exponent
    array([3., 0., 0., 0., 4.])
    """

    count: int
    seed: bytes

    @cached_property
    def exponent(self) -> int:
        """Half of the binary logarithm of a block's size: the largest one with little padding."""
        most = self.count + max(_PADDING * self.count, _LEAST_PADDING)
        return next(each for each in range(_MOST, -1, -1) if self._padded(each) <= most)

    @property
    def size(self) -> int:
        """How many values there are after rotating: padding is added up to whole blocks."""
        return self._padded(self.exponent)

    def rotate(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rotate a vector; lengths stay as they are."""
        padded = np.zeros(self.size, np.float32)
        np.multiply(vector, self._signs, out=padded[: self.count])
        table = padded.reshape(-1, self._blocks)
        found = np.empty((self._blocks, table.shape[0]), np.float32)
        for block, out in enumerate(found):
            out[:] = table[:, block]
            out[:] = _transformed(out, self.exponent)
        found *= np.float32(0.5**self.exponent)
        return found.reshape(-1)

    def unrotate(self, integers: Array) -> Array:
        """Rotate integers back, times ``2**exponent``: exact, as int32 or int64.

        Raises
        ------
        Corrupt
            If they are larger than any encoder makes them, or there are none.
        """
        if not self.count:
            raise Corrupt("the payload has rotated tensors without values; drop it")
        largest = max(int(integers.max(initial=0)), -int(integers.min(initial=0)))
        if largest >= 2**40:
            raise Corrupt(f"the payload has a rotated integer of {largest}; drop it")
        kind = np.int32 if largest << 2 * self.exponent < 2**31 else np.int64
        table = np.empty((self.size // self._blocks, self._blocks), kind)
        for block, own in enumerate(integers.reshape(self._blocks, -1)):
            table[:, block] = _transformed(own.astype(kind), self.exponent)
        found: Array = table.reshape(-1)[: self.count]
        found *= self._signs
        return found

    def _padded(self, exponent: int) -> int:
        block: int = 4**exponent
        return -(-self.count // block) * block

    @property
    def _blocks(self) -> int:
        block: int = 4**self.exponent
        return self.size // block

    @cached_property
    def _signs(self) -> NDArray[np.int8]:
        random = blake3(_PURPOSE + self.seed).digest(length=-(-self.count // 8))
        bits = np.unpackbits(np.frombuffer(random, np.uint8), count=self.count).view(np.int8)
        bits *= -2
        bits += 1
        return bits


def _transformed(block: Any, exponent: int) -> Any:
    """Return the Walsh-Hadamard transform of a block of ``4**exponent`` values: a square's columns, then its rows."""
    square = block.reshape(2**exponent, 2**exponent)
    for _ in range(2):
        for upper, lower in _halves(square, exponent):
            difference = upper - lower
            np.add(upper, lower, out=upper)
            lower[:] = difference
        square = np.ascontiguousarray(square.T)
    return square.reshape(-1)


def _halves(square: Any, exponent: int) -> Iterator[tuple[Any, Any]]:
    """Yield the pairs of rows that one step of the transform adds and subtracts, step by step."""
    for level in range(exponent):
        pairs = square.reshape(-1, 2, 2**level, square.shape[1])
        yield pairs[:, 0], pairs[:, 1]
