"""A memory of class centres: what teaches an embedding classes that the model's head does not have."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from fedretina.errors import BadArgument


class ClassMemory:
    """Centres of classes, against which a batch is contrasted (Dai et al., "Cluster Contrast", 2021).

    The loss is the cross-entropy of a softmax over the cosines to all centres, divided by a temperature. The centres of the
    batch's classes then follow the batch. Made anew at each labelling; it has no parameters.

    Parameters
    ----------
    features : Tensor, shape (N, d)
        Of samples that have a class; they need not be normalised.
    labels : Tensor of int64, shape (N,)
        Their classes; any numbers.
    temperature : float, default 0.05
        Positive: the lower, the more the nearest other centre counts.
    momentum : float, default 0.8
        How much of a centre stays at each step, 0 to 1.

    Raises
    ------
    BadArgument
        Shapes that don't fit, no sample, a number out of range.

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
                f"temperature = {temperature}, momentum = {momentum}: give a positive one, and one from 0 to 1"
            )
        self._temperature, self._momentum = temperature, momentum
        self._classes, place = torch.unique(labels, return_inverse=True)
        sums = torch.zeros(len(self._classes), features.shape[1], dtype=features.dtype, device=features.device)
        self._centres = F.normalize(sums.index_add_(0, place, F.normalize(features.detach(), dim=1)), dim=1)

    def loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Contrast a batch, then let the centres follow it.

        Parameters
        ----------
        embeddings : Tensor, shape (B, d)
            With their graph.
        labels : Tensor of int64, shape (B,)
            Classes that the memory holds; samples of others are left out.

        Returns
        -------
        Tensor
            A scalar; 0 if no sample is left.
        """
        self._centres, self._classes = self._centres.to(embeddings.device), self._classes.to(labels.device)
        place = torch.searchsorted(self._classes, labels).clamp_max(len(self._classes) - 1)
        held = self._classes[place] == labels
        if not held.any():
            return 0 * embeddings.sum()
        place, unit = place[held], F.normalize(embeddings[held], dim=1)
        loss = F.cross_entropy(unit @ self._centres.T / self._temperature, place)
        self._follow(unit.detach(), place)
        return loss

    @torch.no_grad()
    def _follow(self, unit: Tensor, place: Tensor) -> None:
        seen, where = torch.unique(place, return_inverse=True)
        means = torch.zeros(len(seen), unit.shape[1], dtype=unit.dtype, device=unit.device).index_add_(0, where, unit)
        kept = self._momentum * self._centres[seen] + (1 - self._momentum) * F.normalize(means, dim=1).to(self._centres)
        self._centres = self._centres.index_copy(0, seen, F.normalize(kept, dim=1))
