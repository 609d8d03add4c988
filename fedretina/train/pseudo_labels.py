"""Pseudo-labels: a committee labels the target's unlabelled samples, and the target trains on these labels."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fedretina.features import embed
from fedretina.reuse import ClassMemory, Committee, CommitteeOptions, Labelling
from fedretina.task import Splits, Task
from fedretina.train.batches import Batch, Batches
from fedretina.train.term import ForwardPass, Term
from fedretina.train.training import Training

REFRESH_EVERY = 4
"""Epochs between two labellings."""

MEMORY_WEIGHT = 0.5
"""Weight of `ClassMemoryTerm` in the loss."""

Metrics = dict[str, float]


class PseudoLabels:
    """Labels of the target's unlabelled samples, by frozen peers and the target itself; updated every few epochs.

    Parameters
    ----------
    task : Task
        Prepares samples; names the embedding layer, and tells whether unlabelled samples may be of new classes.
    splits : Splits
        The target's data.
    peers : mapping of str to Module
        The frozen sources. If empty, the target labels its samples alone.
    alpha : mapping of str to float
        Weights of the sources in the committee.
    training : Training
        Gives the seed.
    options : CommitteeOptions, optional
        Settings of the committee; the seed is replaced by the training's. Default: the committee's defaults.

    Attributes
    ----------
    metrics : dict of str to float
        Metrics of the last labelling: "share" and "accuracy" in percent, "new" in classes. Empty before the first.
    accuracies : list of float
        The held-out accuracy of each labelling so far, in percent.
    memory : ClassMemory or None
        Centres of the classes; None if no class is new.
    """

    def __init__(
        self,
        task: Task,
        splits: Splits,
        peers: Mapping[str, nn.Module],
        *,
        alpha: Mapping[str, float],
        training: Training,
        options: CommitteeOptions | None = None,
    ) -> None:
        self.task, self.splits, self.samples = task, splits, splits.everything()
        self.layer = task.embedding or list(task.layers)[-1]
        self.metrics: Metrics = {}
        self.accuracies: list[float] = []
        self.memory: ClassMemory | None = None
        self._labelling: Labelling | None = None
        self._groups = None if splits.groups is None else splits.groups.numpy()
        labels = torch.cat([splits.labels, torch.full((len(self.samples) - len(splits.labels),), -1)])
        features = {name: self._embed(peer) for name, peer in peers.items()}
        options = replace(options or CommitteeOptions(), seed=training.seed)
        if task.kind == "classification":  # all classes are known
            options = replace(options, new_classes_below=0.0)
        self._committee = Committee(features, labels.numpy(), groups=self._groups, alpha=alpha, options=options)

    def refresh(self, model: nn.Module, epoch: int) -> bool:
        """Update the pseudo-labels with the model's present state, if this epoch (from 0) requires it.

        The first epoch has no pseudo-labels. The second makes them, and every fourth epoch after it updates them.

        Returns
        -------
        bool
            Whether the labels were updated.
        """
        if epoch == 0 or (self._labelling is not None and (epoch - 1) % REFRESH_EVERY):
            return False
        own = self._embed(model)
        labelling = self._labelling = self._committee.label(own)
        index, labels = self.labelled()
        self.memory = ClassMemory(torch.from_numpy(own)[index], labels[index]) if labelling.new else None
        self.metrics = {"share": 100 * labelling.share, "new": float(labelling.new)}
        if labelling.accuracy is not None:
            self.metrics["accuracy"] = 100 * labelling.accuracy
            self.accuracies.append(self.metrics["accuracy"])
        return True

    def labelled(self) -> tuple[Tensor, Tensor]:
        """Give the indices of the samples that have a label or a pseudo-label, (n,), and the labels of all samples, (N,)."""
        if self._labelling is None:
            return torch.arange(len(self.splits.labels)), self.splits.labels
        return torch.from_numpy(self._labelling.indices()), torch.from_numpy(self._labelling.labels)

    def _embed(self, model: nn.Module) -> NDArray[np.float32]:
        task = self.task
        return embed(model, self.samples, self.layer, groups=self._groups, prepare=task.prepare, views=task.views)


class PseudoLabelBatches(Batches):
    """Batches of all samples that have a label or a pseudo-label.

    Labelled samples get no fixed half of a batch: a class of two or three would then repeat them in every batch.

    Parameters
    ----------
    pseudo_labels : PseudoLabels
        The labels; they are updated at the start of an epoch.
    size : int
        Samples per batch.
    """

    def __init__(self, pseudo_labels: PseudoLabels, size: int) -> None:
        self.pseudo_labels, self.size = pseudo_labels, size

    def start_epoch(self, model: nn.Module, epoch: int) -> None:
        """Update the pseudo-labels if this epoch requires it."""
        self.pseudo_labels.refresh(model, epoch)

    def draw(self, generator: torch.Generator) -> Iterator[Batch]:
        """Draw batches without end."""
        known, labels = self.pseudo_labels.labelled()
        for drawn in self.pseudo_labels.task.batches(labels[known], self.size, generator):
            index = known[drawn]
            yield Batch(self.pseudo_labels.samples[index], labels[index])


class ClassMemoryTerm(Term):
    """The contrastive loss of `ClassMemory`: it trains the embedding on classes that the model's head does not have.

    Parameters
    ----------
    pseudo_labels : PseudoLabels
        Its `memory` is used.
    """

    def __init__(self, pseudo_labels: PseudoLabels) -> None:
        self.pseudo_labels, self.layers = pseudo_labels, (pseudo_labels.layer,)

    def loss(self, forward: ForwardPass) -> Tensor | None:
        """Compute the loss of a batch; None if no class is new."""
        if (memory := self.pseudo_labels.memory) is None:
            return None
        return MEMORY_WEIGHT * memory.loss(forward.z[self.pseudo_labels.layer], forward.labels)
