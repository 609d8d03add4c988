"""Mutual learning: two networks train together, and each also learns from the outputs of the other.

Source: Zhang et al., "Deep Mutual Learning", CVPR 2018. Each network minimises the divergence of its class probabilities
from the other's. AlignedReID (Zhang et al., 2017) adds that the distances between the images of a batch agree. The first
network is the result, as in Table 3.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedretina.features import Taps
from fedretina.study.student import Student
from fedretina.task import Task
from fedretina.train import ForwardPass, Term, class_scores


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """Compute the divergence of class probabilities from other ones, which get no gradient.

    Parameters
    ----------
    one, other : Tensor, shape (N, C)
        Class scores of the learning network and of the other.

    Examples
    --------
    >>> divergence(torch.zeros(1, 2), torch.zeros(1, 2))
    tensor(0.)
    """
    return F.kl_div(one.log_softmax(1), other.detach().softmax(1), reduction="batchmean")


def distance_difference(one: Tensor, other: Tensor) -> Tensor:
    """Compute the mean squared difference of distances between unit embeddings; the other network gets no gradient.

    Parameters
    ----------
    one, other : Tensor, shape (N, d)
        Embeddings of the learning network and of the other.

    Examples
    --------
    >>> distance_difference(torch.eye(2), torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))  # sqrt(2) against 2
    tensor(0.1716)
    """
    return (_distances(one) - _distances(other).detach()).square().mean()


def _distances(z: Tensor) -> Tensor:
    unit = F.normalize(z, dim=1)
    return torch.cdist(unit, unit, compute_mode="donot_use_mm_for_euclid_dist")


class MutualLearning(Term):
    """The term: the second network's own loss, and the losses by which both learn from each other.

    Parameters
    ----------
    task : Task
        Defines the supervised loss.
    second : Module
        The second network; it is trained too.
    layer : str
        Name of the embedding layer.
    """

    def __init__(self, task: Task, second: nn.Module, *, layer: str) -> None:
        self.task, self.second, self.layers = task, second, (layer,)

    @property
    def module(self) -> nn.Module:
        """The second network."""
        return self.second

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Give the parameter group of the second network."""
        return [{"params": list(self.second.parameters()), "scale": 1.0, "weight_decay": 5e-4}]

    def loss(self, forward: ForwardPass) -> Tensor:
        """Compute the term for a batch, in which all samples are labelled."""
        with Taps(self.second, self.layers) as taps:
            output = self.second(forward.inputs)
            z = taps.collect()[self.layers[0]]
        total = self.task.loss(output, forward.labels)
        for one, other in ((forward.output, output), (output, forward.output)):
            total = total + divergence(class_scores(one), class_scores(other))
        own = forward.z[self.layers[0]]
        return total + distance_difference(own, z) + distance_difference(z, own)


def mutual(student: Student) -> nn.Module:
    """Train two targets from scratch on the labelled samples; return the first."""
    term = MutualLearning(student.task, student.new_model("second"), layer=student.layer)
    return student.fit(student.new_model(), splits=student.labelled, terms=[term])
