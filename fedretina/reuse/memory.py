"""A memory of class centres: its loss trains an embedding on classes that the model's head does not have."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from fedretina.errors import BadArgument


class ClassMemory:
    """Centres of classes, with a contrastive loss (Dai et al., "Cluster Contrast", 2021).

    The loss is a cross-entropy: the logits are the cosines to all centres, divided by a temperature. After each batch the
    centres of its classes move towards it. The memory has no parameters; make a new one at each labelling.

    Parameters
    ----------
    features : Tensor, shape (N, d)
        Features of samples that have a class; they need not be normalised.
    labels : Tensor of int64, shape (N,)
        Their classes, any integers.
    temperature : float, default 0.05
        Positive. The lower it is, the larger is the weight of the nearest other centre.
    momentum : float, default 0.8
        Weight of the old centre at each step, 0 to 1.

    Raises
    ------
    BadArgument
        The shapes do not fit, there is no sample, or a number is out of range.

    Examples
    --------
    >>> memory = ClassMemory(torch.eye(2), torch.tensor([3, 8]))
    >>> memory.loss(torch.eye(2), torch.tensor([3, 8])) < memory.loss(torch.eye(2), torch.tensor([8, 3]))
    tensor(True)
    """

    def __init__(self, features: Tensor, labels: Tensor, *, temperature: float = 0.05, momentum: float = 0.8) -> None:
        if features.dim() != 2 or labels.shape != features.shape[:1] or not len(features):
            raise BadArgument(f"features {tuple(features.shape)} and labels {tuple(labels.shape)}: give (N, d) and (N,)")
        if not (math.isfinite(temperature) and temperature > 0 and 0 <= momentum <= 1):
            raise BadArgument(
                f"temperature = {temperature}, momentum = {momentum}: give a positive temperature, a momentum from 0 to 1"
            )
        self._temperature, self._momentum = temperature, momentum
        self._classes, index = torch.unique(labels, return_inverse=True)
        sums = torch.zeros(len(self._classes), features.shape[1], dtype=features.dtype, device=features.device)
        self._centres = F.normalize(sums.index_add_(0, index, F.normalize(features.detach(), dim=1)), dim=1)

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of a batch, then move the centres towards it.

        Parameters
        ----------
        embeddings : Tensor, shape (B, d)
            The batch's embeddings, with their autograd graph.
        labels : Tensor of int64, shape (B,)
            Their classes. Samples of classes that the memory does not have are left out.

        Returns
        -------
        Tensor
            A scalar; 0 if no sample is left.
        """
        self._centres, self._classes = self._centres.to(embeddings.device), self._classes.to(labels.device)
        index = torch.searchsorted(self._classes, labels).clamp_max(len(self._classes) - 1)
        known = self._classes[index] == labels
        if not known.any():
            return 0 * embeddings.sum()
        index, unit = index[known], F.normalize(embeddings[known], dim=1)
        loss = F.cross_entropy(unit @ self._centres.T / self._temperature, index)
        self._move_centres(unit.detach(), index)
        return loss

    @torch.no_grad()
    def _move_centres(self, unit: Tensor, index: Tensor) -> None:
        present, row = torch.unique(index, return_inverse=True)
        sums = torch.zeros(len(present), unit.shape[1], dtype=unit.dtype, device=unit.device).index_add_(0, row, unit)
        mixed = self._momentum * self._centres[present] + (1 - self._momentum) * F.normalize(sums, dim=1).to(self._centres)
        self._centres = self._centres.index_copy(0, present, F.normalize(mixed, dim=1))
