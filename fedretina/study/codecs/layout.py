"""Updates as one vector or as matrices, and readers of bytes that end where they should."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from fedretina.errors import Corrupt, Truncated
from fedretina.study.codecs.codec import Array, Floats, State, TensorSpec, Update


@dataclass
class Reader:
    """Takes arrays from bytes, one after the other."""

    data: bytes
    at: int = 0

    def take(self, dtype: DTypeLike, count: int) -> Array:
        """Return the next values; raise `Truncated` if there are fewer."""
        found = np.dtype(dtype)
        end = self.at + found.itemsize * count
        if end > len(self.data):
            raise Truncated(f"the update has {len(self.data)} bytes where {end} are needed; drop it")
        values = np.frombuffer(self.data, found, count, self.at)
        self.at = end
        return values

    def rest(self) -> bytes:
        """Return what has not been taken."""
        found = self.data[self.at :]
        self.at = len(self.data)
        return found

    def finish(self) -> None:
        """Raise `Corrupt` if bytes are left."""
        if self.at != len(self.data):
            raise Corrupt(f"the update has {len(self.data) - self.at} bytes too many; drop it")


def flatten(update: Mapping[str, Floats]) -> Floats:
    """Return all values as one vector.

    Examples
    --------
    >>> flatten({"a": np.float32([[1, 2]]), "b": np.float32([3])})
    array([1., 2., 3.], dtype=float32)
    """
    parts = [values.reshape(-1) for values in update.values()]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def split(vector: Floats, state: State) -> dict[str, Floats]:
    """Return the tensors of the vector that `flatten` made."""
    ends = np.cumsum([spec.size for spec in state.specs.values()])[:-1]
    parts = np.split(vector, ends) if state.specs else []
    return {name: part.reshape(spec.shape) for (name, spec), part in zip(state.specs.items(), parts, strict=True)}


def is_matrix(spec: TensorSpec) -> bool:
    """Tell whether a tensor has rows and columns: two dimensions or more, and values."""
    return len(spec.shape) >= 2 and spec.size > 0


def as_matrix(values: Floats) -> Floats:
    """Return a tensor as a matrix of output channels x all else."""
    return values.reshape(values.shape[0], -1)


def norm(update: Update) -> float:
    """Return the Euclidean norm of all values of an update."""
    return float(np.sqrt(sum(float(np.square(values, dtype=np.float64).sum()) for values in _floats(update))))


def count(update: Update) -> int:
    """Return the number of values of an update."""
    return sum(values.size for values in update.values())


def _floats(update: Update) -> list[Floats]:
    return [values.astype(np.float32) for values in update.values()]


def in_blocks(vector: Floats, size: int) -> Floats:
    """Return a vector as rows of `size` values, the last one filled up with zeros."""
    blocks = np.zeros((-(-vector.size // size), size), np.float32)
    blocks.reshape(-1)[: vector.size] = vector
    return blocks
