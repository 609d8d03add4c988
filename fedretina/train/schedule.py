"""The schedule of a training: epochs, steps and learning rate."""

import math
from dataclasses import dataclass

from fedretina.train.training import Training

WARM_UP = 0.2
"""Fraction of the training in which the learning rate grows."""


@dataclass(frozen=True)
class EpochRange:
    """Some epochs of a training.

    Parameters
    ----------
    first, last : int
        The first epoch, from 0, and the end of the range, which is excluded.
    total : int
        Epochs of the whole training.
    """

    first: int
    last: int
    total: int


def steps_per_epoch(samples: int, training: Training) -> int:
    """Count the steps of an epoch: one pass over the domain, or over `epoch_samples` samples if it is larger.

    Examples
    --------
    >>> steps_per_epoch(100, Training(batch_size=32)), steps_per_epoch(100, Training(batch_size=32, epoch_samples=64))
    (4, 2)
    """
    return max(1, math.ceil(min(samples, training.epoch_samples or samples) / training.batch_size))


def learning_rate(progress: float, peak: float) -> float:
    """Compute the learning rate: a linear warm-up to the peak, then a cosine decay to 0.

    Parameters
    ----------
    progress : float
        Finished fraction of the training, 0 to 1.
    peak : float
        The largest learning rate.

    Examples
    --------
    >>> [round(learning_rate(x, 1.0), 3) for x in (0.0, 0.2, 1.0)]
    [0.04, 1.0, 0.0]
    """
    if progress < WARM_UP:
        return peak * (0.04 + 0.96 * progress / WARM_UP)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))
