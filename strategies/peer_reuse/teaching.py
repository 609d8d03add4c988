"""The committee at the target: what it labels, and the batches that the target learns from."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fedretina.reuse import ClassMemory, Committee, CommitteeOptions, Labelling, embed
from fedretina.strategies.peer_reuse.plan import Plan
from fedretina.task import Splits, Task

EVERY = 4
MEMORY = 0.5
Numbers = dict[str, float]


class Teaching:
    """Frozen peers and the target's own state label the target's unlabelled samples, anew every few epochs.

    Parameters
    ----------
    task : Task
        Prepares samples, and says what an embedding is and whether unlabelled samples may show new classes.
    splits : Splits
        The target's data.
    peers : mapping of str to Module
        The frozen sources; none is fine: then the target labels by itself.
    alpha : mapping of str to float
        Weights of the sources.
    plan : Plan
        The seed.
    options : CommitteeOptions, optional
        Other than the committee's own; the seed is the plan's.
    """

    def __init__(
        self,
        task: Task,
        splits: Splits,
        peers: Mapping[str, nn.Module],
        *,
        alpha: Mapping[str, float],
        plan: Plan,
        options: CommitteeOptions | None = None,
    ) -> None:
        self.task, self.splits = task, splits
        self._stored = splits.everything()
        self._layer = task.embedding or list(task.layers)[-1]
        self._groups = None if splits.groups is None else splits.groups.numpy()
        labels = torch.cat([splits.labels, torch.full((len(self._stored) - len(splits.labels),), -1)])
        features = {name: self._embed(peer) for name, peer in peers.items()}
        options = replace(options or CommitteeOptions(), seed=plan.seed)
        if task.kind == "classification":
            options = replace(options, new_below=0.0)
        self._committee = Committee(features, labels.numpy(), groups=self._groups, alpha=alpha, options=options)
        self._labelling: Labelling | None = None
        self._memory: ClassMemory | None = None

    def refresh(self, model: nn.Module, epoch: int) -> Numbers | None:
        """Label anew, if this epoch (from 0) is one to do so; say what was found. The first epoch has no such labels."""
        if epoch == 0 or (self._labelling is not None and (epoch - 1) % EVERY):
            return None
        own = self._embed(model)
        told = self._labelling = self._committee.label(own)
        index = torch.from_numpy(told.indices())
        labels = torch.from_numpy(told.labels)
        self._memory = ClassMemory(torch.from_numpy(own)[index], labels[index]) if told.new else None
        numbers = {"share": 100 * told.share, "new": float(told.new)}
        return numbers if told.accuracy is None else {**numbers, "accuracy": 100 * told.accuracy}

    def batches(self, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Draw stored samples and their classes for ever, of all that have a label or got one.

        Labelled samples have no half of their own: where a class has two or three of them, they would repeat in every batch.
        """
        told, labels = torch.arange(len(self.splits.labels)), self.splits.labels
        if self._labelling is not None:
            told, labels = torch.from_numpy(self._labelling.indices()), torch.from_numpy(self._labelling.labels)
        for drawn in self.task.batches(labels[told], size, generator):
            index = told[drawn]
            yield self._stored[index], labels[index]

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor | None:
        """Contrast a batch with the memory of classes; None where no class is new."""
        if self._memory is None:
            return None
        return MEMORY * self._memory.loss(embeddings, labels)

    @property
    def layer(self) -> str:
        """The layer whose output is the embedding."""
        return self._layer

    def _embed(self, model: nn.Module) -> NDArray[np.float32]:
        task = self.task
        return embed(model, self._stored, self._layer, groups=self._groups, prepare=task.prepare, views=task.views)
