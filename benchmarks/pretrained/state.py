"""A network's weights as arrays, as the codec takes them, and as tensors, as the network does."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

State = dict[str, NDArray[Any]]
Tensors = dict[str, Tensor]


def read_torch(file: Path, *, key: str | None = None) -> State:
    """Return the arrays of a state dict that `torch.save` wrote; with a key, of the one it holds there."""
    found = torch.load(file, map_location="cpu", weights_only=True)
    found = found if key is None else found[key]
    return {name: np.ascontiguousarray(value.numpy()) for name, value in found.items()}


def to_tensors(state: State) -> Tensors:
    """Return the arrays as tensors."""
    return {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
