"""Fixed model reuse (FMR): one source's features help in training; at test time the source is not needed.

Source: Yang et al., "Deep Learning for Fixed Model Reuse", AAAI 2017. The classifier gets the source's features in addition
to the target's. The target learns to reconstruct them, and the reconstruction replaces them step by step ("knockdown").
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedretina.study.methods.fusion import AuxiliaryLoss, Fusion, ReadExpert, embedding_arguments, layer_reader
from fedretina.study.methods.reuse import Start, initial_model
from fedretina.study.student import Student, freeze
from fedretina.train import seeded

WEIGHT = 1.0


class FixedModelReuse(Fusion):
    """Adds a linear map of a source's features to the embedding; during training their reconstruction replaces them.

    Parameters
    ----------
    target, experts, layer, see, example
        As for `Fusion`.
    width : int
        Features of the target's embedding.
    steps : int
        Training batches until the source is replaced completely.

    Examples
    --------
    >>> body = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    >>> source = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).eval()
    >>> example = torch.zeros(2, 3)
    >>> model = FixedModelReuse(body, [source], layer="1", read=layer_reader("1"), example=example, width=4, steps=9)
    >>> model.eval().uses_experts()
    False
    """

    finished: Tensor

    def __init__(
        self,
        target: nn.Module,
        experts: Sequence[nn.Module],
        *,
        layer: str,
        read: ReadExpert,
        example: Tensor,
        width: int,
        steps: int,
    ) -> None:
        super().__init__(target, experts, layer=layer, read=read, example=example)
        total = sum(self.widths)
        self.to_embedding, self.reconstruct, self.steps = nn.Linear(total, width, bias=False), nn.Linear(width, total), steps
        self.register_buffer("finished", torch.tensor(0))

    def uses_experts(self) -> bool:
        """Tell whether the model is in training; at test time the source is not used."""
        return self.training

    def fuse(self, z: Tensor, expert_outputs: list[Tensor]) -> Tensor:
        """Mix the source's features with their reconstruction; the auxiliary loss is the error of the reconstruction."""
        reconstructed = self.reconstruct(z)
        if not expert_outputs:
            mixed: Tensor = z + self.to_embedding(reconstructed)
            return mixed
        features, share = torch.cat(expert_outputs, dim=1), max(0.0, 1 - int(self.finished) / self.steps)
        self.finished += 1
        self.auxiliary_loss = F.mse_loss(reconstructed, features)
        mixed = z + self.to_embedding(share * features + (1 - share) * reconstructed)
        return mixed


def fixed_model_reuse(student: Student, *, start: Start = "scratch") -> nn.Module:
    """Train with the best source's features, on labelled and unlabelled samples."""
    model = initial_model(student, start)
    arguments = embedding_arguments(student, model)
    with seeded(student.training, "absorbing"):
        source = {student.best_source: student.peers.models[student.best_source]}
        read = layer_reader(student.layer)
        fixed = FixedModelReuse(model, freeze(source), read=read, steps=student.steps, **arguments)
    return student.fit(fixed, terms=[AuxiliaryLoss(fixed, WEIGHT)])
