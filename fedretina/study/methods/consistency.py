"""Modal consistency: the sources' outputs take part in the prediction, and must agree on unlabelled samples too.

After Yang et al., "Modal Consistency based Pre-trained Multi-Model Reuse", IJCAI 2017, which needs its sources at test time.
There the members are modalities of one sample and share the classes. Here they are models of domains with different
identities. So each source's outputs are mapped to the target's embedding, and the embeddings must agree.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedretina.study.methods.fusion import AuxiliaryLoss, Fusion, embedding_arguments, log_probabilities
from fedretina.study.student import Student, freeze
from fedretina.train import seeded

WEIGHT = 1.0


class ModalConsistency(Fusion):
    """The target's embedding plus a weighted sum of maps of the sources' outputs, with learned weights.

    Its auxiliary loss is the weighted mean cosine distance between the mapped outputs and the embedding.

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
    >>> model = ModalConsistency(body, [source], layer="1", example=torch.zeros(2, 3), width=4)
    >>> scores = model(torch.randn(6, 3))
    >>> scores.shape, bool(model.auxiliary_loss > 0)
    (torch.Size([6, 2]), True)
    """

    def __init__(self, target: nn.Module, experts: Sequence[nn.Module], *, layer: str, example: Tensor, width: int) -> None:
        super().__init__(target, experts, layer=layer, read=log_probabilities, example=example)
        self.maps = nn.ModuleList(nn.Linear(size, width, bias=False) for size in self.widths)
        self.weights = nn.Parameter(torch.zeros(len(self.widths)))

    def fuse(self, z: Tensor, expert_outputs: list[Tensor]) -> Tensor:
        """Add the members to the embedding, and set the auxiliary loss to their disagreement."""
        members = torch.stack([to_embedding(one) for to_embedding, one in zip(self.maps, expert_outputs, strict=True)])
        alpha = self.weights.softmax(0)
        distances = 1 - F.cosine_similarity(members, z[None], dim=2).mean(1)
        self.auxiliary_loss = (alpha * distances).sum()
        return z + (alpha[:, None, None] * members).sum(0)


def modal_consistency(student: Student) -> nn.Module:
    """Train the target and the maps together; the target starts from the best source."""
    model = student.model_from_best()
    arguments = embedding_arguments(student, model)
    with seeded(student.training, "members"):
        joint = ModalConsistency(model, freeze(student.peers.models), **arguments)
    return student.fit(joint, terms=[AuxiliaryLoss(joint, WEIGHT)])
