"""Modal-consistency reuse: the sources' outputs join in the prediction, and all must agree on unlabelled samples too.

After Yang et al., "Modal Consistency based Pre-trained Multi-Model Reuse", IJCAI 2017, which needs its sources at test
time. There the members are modalities of one sample and share classes; here they are the models of domains whose
identities differ, so each source's outputs are mapped to the target's embedding, and it is embeddings that must agree.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedretina.study.methods.fusion import Aside, Fusion, outputs
from fedretina.study.student import Student, frozen
from fedretina.train import seeded

WEIGHT = 1.0


class Consistent(Fusion):
    """The target's embedding plus a weighted sum of maps of the sources' outputs; the weights are learned.

    Parameters
    ----------
    target, experts, layer, example
        As for `Fusion`.
    width : int
        Features of the target's embedding.

    Examples
    --------
    >>> body = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    >>> source = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 7)).eval()
    >>> model = Consistent(body, [source], layer="1", example=torch.zeros(2, 3), width=4)
    >>> scores = model(torch.randn(6, 3))
    >>> scores.shape, bool(model.aside > 0)
    (torch.Size([6, 2]), True)
    """

    def __init__(self, target: nn.Module, experts: Sequence[nn.Module], *, layer: str, example: Tensor, width: int) -> None:
        super().__init__(target, experts, layer=layer, see=outputs, example=example)
        self.maps = nn.ModuleList(nn.Linear(size, width, bias=False) for size in self.widths)
        self.weights = nn.Parameter(torch.zeros(len(self.widths)))

    def fuse(self, z: Tensor, said: list[Tensor]) -> Tensor:
        """Join the members; note how far they are from agreeing."""
        members = torch.stack([mapped(one) for mapped, one in zip(self.maps, said, strict=True)])
        alpha = self.weights.softmax(0)
        apart = 1 - F.cosine_similarity(members, z[None], dim=2).mean(1)
        self.aside = (alpha * apart).sum()
        return z + (alpha[:, None, None] * members).sum(0)


def modal_consistency(student: Student) -> nn.Module:
    """Train the members together; the target starts from the best source."""
    model = student.started()
    width = student.width(model)
    with seeded(student.training, "members"):
        joint = Consistent(
            model,
            frozen(student.peers.models),
            layer=student.layer,
            example=student.example.to(student.device),
            width=width,
        )
    return student.fit(joint, terms=[Aside(joint, WEIGHT)])
