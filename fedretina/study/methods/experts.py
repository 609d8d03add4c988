"""Bag of experts: the sources' features are an input of the target, which needs the sources at test time too.

Source: Jha et al., "Bag of Experts Architectures for Model Reuse in Conversational Language Understanding", NAACL 2018. A
linear map of the experts' features is added to the embedding. A linear layer on the concatenated features does the same.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fedretina.study.methods.fusion import Fusion, ReadExpert, embedding_arguments, layer_reader
from fedretina.study.student import Student, freeze
from fedretina.train import seeded


class BagOfExperts(Fusion):
    """Adds a linear map of each expert's output to the embedding.

    Parameters
    ----------
    target, experts, layer, read, example
        As for `Fusion`.
    width : int
        Features of the target's embedding.

    Examples
    --------
    >>> body = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    >>> expert = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).eval()
    >>> bag = BagOfExperts(body, [expert], layer="1", read=layer_reader("1"), example=torch.zeros(2, 3), width=4)
    >>> bag(torch.randn(6, 3)).shape
    torch.Size([6, 2])
    """

    def __init__(
        self, target: nn.Module, experts: Sequence[nn.Module], *, layer: str, read: ReadExpert, example: Tensor, width: int
    ) -> None:
        super().__init__(target, experts, layer=layer, read=read, example=example)
        self.maps = nn.ModuleList(nn.Linear(size, width, bias=False) for size in self.widths)

    def fuse(self, z: Tensor, expert_outputs: list[Tensor]) -> Tensor:
        """Add the mapped outputs to the embedding."""
        parts = [to_embedding(one) for to_embedding, one in zip(self.maps, expert_outputs, strict=True)]
        return z + torch.stack(parts).sum(0)


def bag_of_experts(student: Student) -> nn.Module:
    """Train the bag on the labelled samples; the target starts from the best source."""
    model = student.model_from_best()
    arguments = embedding_arguments(student, model)
    with seeded(student.training, "experts"):
        bag = BagOfExperts(model, freeze(student.peers.models), read=layer_reader(student.layer), **arguments)
    return student.fit(bag, splits=student.labelled)
