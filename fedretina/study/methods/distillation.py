"""Output distillation: the target learns the outputs of the sources' classifiers on its samples.

Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015. There is one head per source, as in Li and
Hoiem, "Learning without Forgetting", ECCV 2016, because the domains have different identities. The heads are dropped after
training. Labelled and unlabelled samples are used.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedretina.study.methods.reuse import Start, initial_model
from fedretina.study.student import Student, freeze
from fedretina.train import ForwardPass, Term, class_scores, seeded

TEMPERATURE = 3.0


class Distillation(Term):
    """The term: cross-entropy between softened outputs, average_states over the sources.

    Parameters
    ----------
    sources : list of Module
        The frozen sources.
    classes : list of int
        Number of classes of each source.
    layer : str
        Name of the target's embedding layer, the input of the heads.
    width : int
        Features of the embedding.
    weight : float, default 1.0
        Weight of the term.
    """

    def __init__(self, sources: list[nn.Module], classes: list[int], *, layer: str, width: int, weight: float = 1.0) -> None:
        self.sources, self.layers, self.weight = sources, (layer,), weight
        self.heads = nn.ModuleList(nn.Linear(width, count) for count in classes)

    @property
    def module(self) -> nn.Module:
        """The heads."""
        return self.heads

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Give the parameter group of the heads."""
        return [{"params": list(self.heads.parameters()), "scale": 1.0}]

    def loss(self, forward: ForwardPass) -> Tensor:
        """Compute the term. The scale of its gradient is about that of a cross-entropy, for any temperature."""
        z = forward.z[self.layers[0]]
        parts = [self._part(head(z), source, forward.inputs) for head, source in zip(self.heads, self.sources, strict=True)]
        return self.weight * torch.stack(parts).mean()

    def _part(self, scores: Tensor, source: nn.Module, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            soft_labels = (class_scores(source(inputs)) / TEMPERATURE).softmax(1)
        return TEMPERATURE**2 * F.kl_div((scores / TEMPERATURE).log_softmax(1), soft_labels, reduction="batchmean")


def distill(student: Student, *, start: Start = "best-peer") -> nn.Module:
    """Train on the labels and on the sources' outputs."""
    model, sources = initial_model(student, start), freeze(student.peers.models)
    with torch.no_grad():
        counts = [class_scores(source(student.example.to(student.device))).shape[1] for source in sources]
    with seeded(student.training, "heads"):
        term = Distillation(sources, counts, layer=student.layer, width=student.embedding_width(model))
    return student.fit(model, terms=[term])
