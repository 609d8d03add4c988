"""An update: a model before and after one round, and what a decoded one is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from fedretina.dom import is_float  # its module gives NumPy bfloat16, which files may hold

Array = NDArray[Any]
Floats = NDArray[np.float32]
Model = Mapping[str, Array]


@dataclass(frozen=True)
class Update:
    """A model `new` that was trained from `base`: the same names, dtypes and shapes."""

    name: str
    base: Model
    new: Model

    @classmethod
    def read(cls, folder: Path) -> "Update":
        """Read base.safetensors and new.safetensors."""
        return cls(folder.name, load_file(folder / "base.safetensors"), load_file(folder / "new.safetensors"))

    @cached_property
    def delta(self) -> dict[str, Floats]:
        """The differences of the float tensors, by name."""
        return {
            name: self.new[name].astype(np.float32) - self.base[name].astype(np.float32)
            for name in sorted(self.new)
            if is_float(self.new[name].dtype)
        }

    @cached_property
    def matrices(self) -> list[str]:
        """The float tensors of two and more dimensions: over these errors are measured."""
        return [name for name, values in self.delta.items() if values.ndim >= 2]

    @cached_property
    def weights(self) -> int:
        """The number of float values."""
        return sum(values.size for values in self.delta.values())

    @property
    def raw_bytes(self) -> int:
        """What the float values take uncompressed, in bytes."""
        return 4 * self.weights

    @cached_property
    def rms(self) -> float:
        """The root mean square of the differences in `matrices`."""
        return (self._energy / sum(self.delta[name].size for name in self.matrices)) ** 0.5

    @cached_property
    def _energy(self) -> float:
        return sum(_energy(self.delta[name]) for name in self.matrices)

    def bits_per_weight(self, size: float) -> float:
        """Return what `size` bytes are per float value, in bits."""
        return 8 * size / self.weights

    def error(self, decoded: Model) -> float:
        """Return ``||d - d^|| / ||d||`` over `matrices`, where decoded is base + d^."""
        left = (self.new[name].astype(np.float32) - decoded[name].astype(np.float32) for name in self.matrices)
        return float((sum(map(_energy, left)) / self._energy) ** 0.5)


def _energy(values: Array) -> float:
    flat = values.reshape(-1).astype(np.float64)
    return float(np.dot(flat, flat))
