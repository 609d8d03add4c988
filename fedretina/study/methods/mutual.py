"""Mutual learning: two networks train side by side, and each also learns from what the other says.

Zhang et al., "Deep Mutual Learning", CVPR 2018: each minimises the divergence of its class probabilities from the other's.
AlignedReID (Zhang et al., 2017) adds that the distances between the images of a batch agree. One network is kept, as in
Table 3.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedretina.features import Taps
from fedretina.study.student import Student, logits
from fedretina.task import Task
from fedretina.train import ForwardPass, Term


def agreement(one: Tensor, other: Tensor) -> Tensor:
    """Let class scores (N, C) learn from other ones: the divergence of the probabilities, from a teacher held fixed.

    Examples
    --------
    >>> agreement(torch.zeros(1, 2), torch.zeros(1, 2))
    tensor(0.)
    """
    return F.kl_div(one.log_softmax(1), other.detach().softmax(1), reduction="batchmean")


def metric_agreement(one: Tensor, other: Tensor) -> Tensor:
    """Let the distances between unit embeddings (N, d) learn from those of other ones, held fixed; mean square.

    Examples
    --------
    >>> metric_agreement(torch.eye(2), torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))  # sqrt(2) against 2
    tensor(0.1716)
    """
    return (_distances(one) - _distances(other).detach()).square().mean()


def _distances(z: Tensor) -> Tensor:
    unit = F.normalize(z, dim=1)
    return torch.cdist(unit, unit, compute_mode="donot_use_mm_for_euclid_dist")


class Mutual(Term):
    """The term: the second network's own loss, and what both learn from each other.

    Parameters
    ----------
    task : Task
        Gives the supervised loss.
    second : Module
        The other network, trained here.
    layer : str
        The embedding.
    """

    def __init__(self, task: Task, second: nn.Module, *, layer: str) -> None:
        self.task, self.second, self.layers = task, second, (layer,)

    @property
    def module(self) -> nn.Module:
        """The second network."""
        return self.second

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Give the second network's parameters."""
        return [{"params": list(self.second.parameters()), "scale": 1.0, "weight_decay": 5e-4}]

    def loss(self, forward: ForwardPass) -> Tensor:
        """Run the second network on the same batch, all of it labelled."""
        with Taps(self.second, self.layers) as taps:
            output = self.second(forward.inputs)
            z = taps.collect()[self.layers[0]]
        total = self.task.loss(output, forward.labels)
        for one, other in ((forward.output, output), (output, forward.output)):
            total = total + agreement(logits(one), logits(other))
        own = forward.z[self.layers[0]]
        return total + metric_agreement(own, z) + metric_agreement(z, own)


def mutual(student: Student) -> nn.Module:
    """Train two targets from scratch on the labelled samples; keep the first."""
    term = Mutual(student.task, student.fresh("second"), layer=student.layer)
    return student.fit(student.fresh(), splits=student.labelled, terms=[term])
