"""Bag of experts: the sources' features are fed into the target, which needs the sources at test time too.

Jha et al., "Bag of Experts Architectures for Model Reuse in Conversational Language Understanding", NAACL 2018. A linear
map of the experts' features is added to the embedding, which is what a linear layer on all of them side by side does.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fedretina.study.methods.fusion import Fusion, See, features
from fedretina.study.student import Student, frozen
from fedretina.train import seeded


class BagOfExperts(Fusion):
    """Adds a linear map of what each expert says to the embedding; parameters as for `Fusion`.

    Examples
    --------
    >>> body = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    >>> expert = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).eval()
    >>> bag = BagOfExperts(body, [expert], layer="1", see=features("1"), example=torch.zeros(2, 3), width=4)
    >>> bag(torch.randn(6, 3)).shape
    torch.Size([6, 2])
    """

    def __init__(
        self, target: nn.Module, experts: Sequence[nn.Module], *, layer: str, see: See, example: Tensor, width: int
    ) -> None:
        super().__init__(target, experts, layer=layer, see=see, example=example)
        self.maps = nn.ModuleList(nn.Linear(size, width, bias=False) for size in self.widths)

    def fuse(self, z: Tensor, said: list[Tensor]) -> Tensor:
        """Add up."""
        parts = [mapped(one) for mapped, one in zip(self.maps, said, strict=True)]
        return z + torch.stack(parts).sum(0)


def bag_of_experts(student: Student) -> nn.Module:
    """Train the bag on the labelled samples; the target starts from the best source."""
    model = student.started()
    width = student.width(model)
    with seeded(student.training, "experts"):
        bag = BagOfExperts(
            model,
            frozen(student.peers.models),
            layer=student.layer,
            see=features(student.layer),
            example=student.example.to(student.device),
            width=width,
        )
    return student.fit(bag, splits=student.labelled)
