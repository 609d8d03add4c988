"""Five ways in which a peer's model can be bad."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fedretina.reid import ReIdTask
from fedretina.task import Splits

Arrays = Mapping[str, NDArray[Any]]
MISLABELLED = "mislabelled"
SCALE = 10.0
WRONG = 0.5


def scaled(arrays: Arrays) -> Arrays:
    """Multiply all floats."""
    return _floats(arrays, lambda value: SCALE * value)


def random(arrays: Arrays) -> Arrays:
    """Draw all floats anew, with mean and deviation of each tensor."""
    generator = np.random.default_rng(0)
    return _floats(arrays, lambda value: generator.normal(value.mean(), value.std(), value.shape))


def not_a_number(arrays: Arrays) -> Arrays:
    """Make all floats NaN."""
    return _floats(arrays, lambda value: np.full_like(value, np.nan))


def sign_flipped(arrays: Arrays) -> Arrays:
    """Flip the sign of all floats."""
    return _floats(arrays, lambda value: -value)


def _floats(arrays: Arrays, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Arrays:
    return {name: change(value).astype(value.dtype) if value.dtype.kind == "f" else value for name, value in arrays.items()}


ATTACKS: Mapping[str, Callable[[Arrays], Arrays]] = {
    "scaled": scaled,
    "random": random,
    "NaN": not_a_number,
    "sign-flipped": sign_flipped,
    MISLABELLED: lambda arrays: arrays,  # the peer itself trained on wrong labels
}


@dataclass(frozen=True)
class MislabelledTask(ReIdTask):
    """Half of each source's images have the label of another image of the domain."""

    def splits(self, domain: str) -> Splits:
        found = super().splits(domain)
        if domain in self.targets:
            return found
        generator = torch.Generator().manual_seed(self.seed)
        chosen = torch.randperm(len(found.labels), generator=generator)[: int(WRONG * len(found.labels))]
        labels = found.labels.clone()
        labels[chosen] = found.labels[chosen.roll(1)]
        return Splits(found.inputs, labels, found.unlabelled, found.hidden, found.groups)
