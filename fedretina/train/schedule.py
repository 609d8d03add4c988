"""The schedule of a training: which epochs, how many steps, which learning rate."""

import math
from dataclasses import dataclass

from fedretina.train.training import Training

WARM_UP = 0.2


@dataclass(frozen=True)
class Span:
    """A part of a learner's training: epochs `first` (from 0) to `last` (excluded), of `total`."""

    first: int
    last: int
    total: int


def steps_per_epoch(samples: int, training: Training) -> int:
    """Count the steps of an epoch: a pass over the domain, or over `epoch_samples` of it if it is larger.

    Examples
    --------
    >>> steps_per_epoch(100, Training(batch_size=32)), steps_per_epoch(100, Training(batch_size=32, epoch_samples=64))
    (4, 2)
    """
    return max(1, math.ceil(min(samples, training.epoch_samples or samples) / training.batch_size))


def learning_rate(progress: float, peak: float) -> float:
    """Give the learning rate at a part of the training, 0 to 1: up in a straight line, then down along a cosine.

    Examples
    --------
    >>> [round(learning_rate(x, 1.0), 3) for x in (0.0, 0.2, 1.0)]
    [0.04, 1.0, 0.0]
    """
    if progress < WARM_UP:
        return peak * (0.04 + 0.96 * progress / WARM_UP)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))
