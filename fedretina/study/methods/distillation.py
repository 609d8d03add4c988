"""Output distillation: the target learns what the sources' classifiers say of its samples.

Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; with a head of its own a source, as Li and Hoiem do
("Learning without Forgetting", ECCV 2016), since an identity of one domain is none in another. The heads are dropped
after training. Labelled and unlabelled samples alike are distilled.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedretina.study.methods.regularised import Start, begin
from fedretina.study.student import Student, frozen, logits
from fedretina.train import ForwardPass, Term, seeded

TEMPERATURE = 3.0


class Distillation(Term):
    """The term: cross-entropy between softened outputs, averaged over the sources.

    Parameters
    ----------
    sources : list of Module
        Frozen.
    classes : list of int
        Of each source.
    layer : str
        The target's embedding, on which the heads stand.
    width : int
        Its number of features.
    weight : float, default 1.0
        Of the term.
    """

    def __init__(self, sources: list[nn.Module], classes: list[int], *, layer: str, width: int, weight: float = 1.0) -> None:
        self.sources, self.layers, self.weight = sources, (layer,), weight
        self.heads = nn.ModuleList(nn.Linear(width, count) for count in classes)

    @property
    def module(self) -> nn.Module:
        """The heads."""
        return self.heads

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Give the heads' parameters."""
        return [{"params": list(self.heads.parameters()), "scale": 1.0}]

    def loss(self, forward: ForwardPass) -> Tensor:
        """Compute the term; its gradient has about the scale of a cross-entropy's, whatever the temperature."""
        z = forward.z[self.layers[0]]
        parts = [self._part(head(z), source, forward.inputs) for head, source in zip(self.heads, self.sources, strict=True)]
        return self.weight * torch.stack(parts).mean()

    def _part(self, made: Tensor, source: nn.Module, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = (logits(source(inputs)) / TEMPERATURE).softmax(1)
        return TEMPERATURE**2 * F.kl_div((made / TEMPERATURE).log_softmax(1), wanted, reduction="batchmean")


def distilled(student: Student, *, start: Start = "best-peer") -> nn.Module:
    """Train on the labels and on the sources' outputs."""
    model, sources = begin(student, start), frozen(student.peers.models)
    with torch.no_grad():
        counts = [logits(source(student.example.to(student.device))).shape[1] for source in sources]
    with seeded(student.training, "heads"):
        term = Distillation(sources, counts, layer=student.layer, width=student.width(model))
    return student.fit(model, terms=[term])
