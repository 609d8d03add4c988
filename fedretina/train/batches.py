"""Batches: the samples on which a learner trains."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from fedretina.task import Splits, Task, shuffled


class Batch(NamedTuple):
    """Samples as they are stored.

    Attributes
    ----------
    inputs : Tensor
        (B, ...), the labelled samples first.
    labels : Tensor
        Labels of the labelled samples, (B_l,), int64, with B_l <= B.
    """

    inputs: Tensor
    labels: Tensor


class Batches(Protocol):
    """The source of a learner's batches."""

    def start_epoch(self, model: nn.Module, epoch: int) -> None:
        """Prepare an epoch (from 0), for instance by pseudo-labels from the model's present state."""
        ...

    def draw(self, generator: torch.Generator) -> Iterator[Batch]:
        """Draw batches without end. Equal states of the generator give equal batches."""
        ...


class DomainBatches(Batches):
    """Batches of a domain's labelled samples; if `unlabelled`, half of each batch is unlabelled.

    Parameters
    ----------
    task : Task
        Draws the labelled samples.
    splits : Splits
        The domain's data.
    size : int
        Samples per batch.
    unlabelled : bool, default False
        Whether half of every batch is unlabelled. It has no effect if the domain has no unlabelled samples.

    Examples
    --------
    >>> class Signs(Task): ...
    >>> splits = Splits(torch.zeros(8, 3), torch.tensor([0, 1] * 4), torch.ones(5, 3))
    >>> batches = DomainBatches(Signs(), splits, 6, unlabelled=True)
    >>> batch = next(batches.draw(torch.Generator()))
    >>> batch.inputs.shape, batch.labels.shape
    (torch.Size([6, 3]), torch.Size([3]))
    """

    def __init__(self, task: Task, splits: Splits, size: int, *, unlabelled: bool = False) -> None:
        self.task, self.splits = task, splits
        self._unlabelled = size - size // 2 if unlabelled and len(splits.unlabelled) else 0
        self._labelled = size - self._unlabelled

    def start_epoch(self, model: nn.Module, epoch: int) -> None:
        """Do nothing: the samples are the same in every epoch."""

    def draw(self, generator: torch.Generator) -> Iterator[Batch]:
        """Draw batches without end."""
        splits = self.splits
        labelled = iter(self.task.batches(splits.labels, self._labelled, generator))
        unlabelled = shuffled(len(splits.unlabelled), self._unlabelled, generator)
        while True:
            index = next(labelled)
            inputs = splits.inputs[index]
            if self._unlabelled:
                inputs = torch.cat([inputs, splits.unlabelled[next(unlabelled)]])
            yield Batch(inputs, splits.labels[index])
