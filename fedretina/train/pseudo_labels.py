"""Pseudo-labels: a committee labels the target's unlabelled samples, and the target trains on them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fedretina.reuse import ClassMemory, Committee, CommitteeOptions, Labelling, embed
from fedretina.task import Splits, Task
from fedretina.train.batches import Batch, Batches
from fedretina.train.term import ForwardPass, Term
from fedretina.train.training import Training

EVERY = 4
MEMORY_WEIGHT = 0.5
Metrics = dict[str, float]


class PseudoLabels:
    """Frozen peers and the target's own state label the target's unlabelled samples, anew every few epochs.

    Parameters
    ----------
    task : Task
        Prepares samples; says what an embedding is, and whether unlabelled samples may show new classes.
    splits : Splits
        The target's data.
    peers : mapping of str to Module
        The frozen sources; may be empty: then the target labels by itself.
    alpha : mapping of str to float
        Weights of the sources.
    training : Training
        Gives the seed.
    options : CommitteeOptions, optional
        Options other than the committee's defaults; the seed is the training's.

    Attributes
    ----------
    metrics : dict of str to float
        Of the last labelling, in percent; empty before the first.
    memory : ClassMemory or None
        Centres of the classes; None where no class is new.
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
        self.memory: ClassMemory | None = None
        self._labelling: Labelling | None = None
        self._groups = None if splits.groups is None else splits.groups.numpy()
        labels = torch.cat([splits.labels, torch.full((len(self.samples) - len(splits.labels),), -1)])
        features = {name: self._embed(peer) for name, peer in peers.items()}
        options = replace(options or CommitteeOptions(), seed=training.seed)
        if task.kind == "classification":
            options = replace(options, new_below=0.0)
        self._committee = Committee(features, labels.numpy(), groups=self._groups, alpha=alpha, options=options)

    def refresh(self, model: nn.Module, epoch: int) -> bool:
        """Label anew with the model's present state, if it is time in this epoch (from 0); say whether it was.

        The first epoch has no pseudo-labels; then they are made every `EVERY` epochs.
        """
        if epoch == 0 or (self._labelling is not None and (epoch - 1) % EVERY):
            return False
        own = self._embed(model)
        labelling = self._labelling = self._committee.label(own)
        index, labels = self.labelled()
        self.memory = ClassMemory(torch.from_numpy(own)[index], labels[index]) if labelling.new else None
        self.metrics = {"share": 100 * labelling.share, "new": float(labelling.new)}
        if labelling.accuracy is not None:
            self.metrics["accuracy"] = 100 * labelling.accuracy
        return True

    def labelled(self) -> tuple[Tensor, Tensor]:
        """Give the indices of the samples that have a label or a pseudo-label, and the labels of `samples`."""
        if self._labelling is None:
            return torch.arange(len(self.splits.labels)), self.splits.labels
        return torch.from_numpy(self._labelling.indices()), torch.from_numpy(self._labelling.labels)

    def _embed(self, model: nn.Module) -> NDArray[np.float32]:
        task = self.task
        return embed(model, self.samples, self.layer, groups=self._groups, prepare=task.prepare, views=task.views)


class PseudoLabelBatches(Batches):
    """Batches of all samples that have a label or a pseudo-label.

    Labelled samples have no half of their own: a class of two or three such samples would repeat them in every batch.

    Parameters
    ----------
    pseudo_labels : PseudoLabels
        Refreshed at the start of an epoch.
    size : int
        Samples a batch.
    """

    def __init__(self, pseudo_labels: PseudoLabels, size: int) -> None:
        self.pseudo_labels, self.size = pseudo_labels, size

    def start_epoch(self, model: nn.Module, epoch: int) -> None:
        """Label anew where it is time."""
        self.pseudo_labels.refresh(model, epoch)

    def draw(self, generator: torch.Generator) -> Iterator[Batch]:
        """Draw batches for ever."""
        known, labels = self.pseudo_labels.labelled()
        for drawn in self.pseudo_labels.task.batches(labels[known], self.size, generator):
            index = known[drawn]
            yield Batch(self.pseudo_labels.samples[index], labels[index])


class ClassMemoryTerm(Term):
    """The contrast of a batch with the memory of classes: it teaches classes that the model's head does not have.

    Parameters
    ----------
    pseudo_labels : PseudoLabels
        Holds the memory.
    """

    def __init__(self, pseudo_labels: PseudoLabels) -> None:
        self.pseudo_labels, self.layers = pseudo_labels, (pseudo_labels.layer,)

    def loss(self, forward: ForwardPass) -> Tensor | None:
        """Contrast the batch with the memory; None where no class is new."""
        if (memory := self.pseudo_labels.memory) is None:
            return None
        return MEMORY_WEIGHT * memory.loss(forward.z[self.pseudo_labels.layer], forward.labels)
