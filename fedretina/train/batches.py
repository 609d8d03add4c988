"""Batches: which samples a learner sees."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from fedretina.task import Splits, Task, shuffled


class Batch(NamedTuple):
    """Some samples as they are stored.

    Attributes
    ----------
    inputs : Tensor
        (B, ...), the labelled samples first.
    labels : Tensor
        Of the labelled samples, (B_l,), B_l <= B.
    """

    inputs: Tensor
    labels: Tensor


class Batches(Protocol):
    """Where a learner's batches come from."""

    def start_epoch(self, model: nn.Module, epoch: int) -> None:
        """Prepare an epoch (from 0), for instance by labelling samples with the model's present state."""
        ...

    def draw(self, generator: torch.Generator) -> Iterator[Batch]:
        """Draw batches for ever; equal state of the generator, equal batches."""
        ...


class DomainBatches(Batches):
    """The samples of a domain: labelled ones, and on request as many unlabelled ones in every batch.

    Parameters
    ----------
    task : Task
        Draws the labelled samples.
    splits : Splits
        The domain's data.
    size : int
        Samples a batch.
    unlabelled : bool, default False
        Whether half of every batch is unlabelled; where the domain has no unlabelled samples, nothing changes.

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
        """Prepare nothing: the samples are the same in every epoch."""

    def draw(self, generator: torch.Generator) -> Iterator[Batch]:
        """Draw batches for ever."""
        splits = self.splits
        labelled = iter(self.task.batches(splits.labels, self._labelled, generator))
        unlabelled = shuffled(len(splits.unlabelled), self._unlabelled, generator)
        while True:
            index = next(labelled)
            inputs = splits.inputs[index]
            if self._unlabelled:
                inputs = torch.cat([inputs, splits.unlabelled[next(unlabelled)]])
            yield Batch(inputs, splits.labels[index])
