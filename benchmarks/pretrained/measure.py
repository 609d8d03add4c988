"""What a sending costs: bits, errors of the weights, and the scores before and after."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pretrained.networks import Named, Network
from pretrained.state import State


@dataclass(frozen=True)
class Change:
    """A task's mean score before and after, percent, and the standard error of the difference over samples."""

    task: str
    before: float
    after: float
    deviation: float

    @property
    def points(self) -> float:
        return self.after - self.before


@dataclass(frozen=True)
class Cost:
    """What one sending costs.

    Parameters
    ----------
    bpw : float
        Bits per weight, everything counted.
    error : float
        ``||w - w^|| / ||w||`` over all matrices (tensors of two and more dimensions).
    median_row, worst_row : float
        The same over one row (index of the first axis) of a matrix; rows under a millionth of their matrix's largest
        are left out.
    zeroed : float
        Percent of the matrices' values that became 0 and were not.
    output_error : float
        ``||y - y^|| / ||y - mean y||`` over the network's outputs.
    agreement : float or None
        Percent of the images that get the same class, for a classifier.
    changes : tuple of Change
        The scores by task.
    """

    bpw: float
    error: float
    median_row: float
    worst_row: float
    zeroed: float
    output_error: float
    agreement: float | None
    changes: tuple[Change, ...]


def measure(network: Network, state: State, before: Named, sent: tuple[State, int]) -> Cost:
    """Compare what arrived, (weights, bytes), with what was sent; `before` has the outputs of the weights sent."""
    restored, size = sent
    after = network.embed(restored)
    lost = sum(float((after[name] - old).square().sum()) for name, old in before.items())
    total = sum(float((old - old.mean(0)).square().sum()) for old in before.values())
    agreement = None
    if network.is_classifier:
        same = [before[name].argmax(1) == after[name].argmax(1) for name in before]
        agreement = 100 * float(torch.cat(same).double().mean())
    return Cost(
        bpw=8 * size / sum(value.size for value in state.values()),
        output_error=sqrt(lost / total),
        agreement=agreement,
        changes=tuple(_changes(network.score(before), network.score(after))),
        **_weight_errors(state, restored),
    )


def _changes(before: dict[str, Tensor], after: dict[str, Tensor]) -> Iterator[Change]:
    for task, old in before.items():
        difference = (after[task] - old).double()
        deviation = float(difference.std() / sqrt(len(difference)))
        yield Change(task, float(old.double().mean()), float(after[task].double().mean()), deviation)


def _weight_errors(state: State, restored: State) -> dict[str, float]:
    lost = total = zeroed = values = 0.0
    rows: list[NDArray[np.float64]] = []
    for name, value in state.items():
        if value.ndim < 2 or value.dtype.kind != "f":
            continue
        old, new = (part.reshape(len(part), -1).astype(np.float64) for part in (value, restored[name]))
        squares, norms = ((old - new) ** 2).sum(1), (old**2).sum(1)
        counts = norms > 1e-12 * norms.max()
        rows.append(np.sqrt(squares[counts] / norms[counts]))
        lost, total = lost + squares.sum(), total + norms.sum()
        zeroed, values = zeroed + ((new == 0) & (old != 0)).sum(), values + old.size
    found = np.concatenate(rows)
    return {
        "error": float(sqrt(lost / total)),
        "median_row": float(np.median(found)),
        "worst_row": float(found.max()),
        "zeroed": 100 * float(zeroed / values),
    }
