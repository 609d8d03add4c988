"""Fixed model reuse (FMR): one source's features help in training, are absorbed, and are gone at test time.

Yang et al., "Deep Learning for Fixed Model Reuse", AAAI 2017. The classifier sees the source's features beside the
target's; the target learns to reconstruct them; what is reconstructed takes over step by step ("knockdown"), so that at the
end the source is not needed.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedretina.study.methods.fusion import Aside, Fusion, See, features
from fedretina.study.methods.regularised import Start, begin
from fedretina.study.student import Student, frozen
from fedretina.train import seeded

WEIGHT = 1.0


class Absorbing(Fusion):
    """Adds a linear map of a source's features to the embedding, then of what the embedding makes of them.

    Parameters
    ----------
    target, experts, layer, see, example
        As for `Fusion`.
    width : int
        Features of the target's embedding.
    steps : int
        Batches in training until the source is gone.

    Examples
    --------
    >>> body = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    >>> source = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).eval()
    >>> model = Absorbing(body, [source], layer="1", see=features("1"), example=torch.zeros(2, 3), width=4, steps=9)
    >>> model.eval().hears()
    False
    """

    done: Tensor

    def __init__(
        self,
        target: nn.Module,
        experts: Sequence[nn.Module],
        *,
        layer: str,
        see: See,
        example: Tensor,
        width: int,
        steps: int,
    ) -> None:
        super().__init__(target, experts, layer=layer, see=see, example=example)
        total = sum(self.widths)
        self.read, self.made, self.steps = nn.Linear(total, width, bias=False), nn.Linear(width, total), steps
        self.register_buffer("done", torch.tensor(0))

    def hears(self) -> bool:
        """Whether it trains: at test time the source is gone."""
        return self.training

    def fuse(self, z: Tensor, said: list[Tensor]) -> Tensor:
        """Mix the source's features with their reconstruction; note how far apart they are."""
        made = self.made(z)
        if not said:
            mixed: Tensor = z + self.read(made)
            return mixed
        given, left = torch.cat(said, dim=1), max(0.0, 1 - int(self.done) / self.steps)
        self.done += 1
        self.aside = F.mse_loss(made, given)
        mixed = z + self.read(left * given + (1 - left) * made)
        return mixed


def fixed_model_reuse(student: Student, *, start: Start = "scratch") -> nn.Module:
    """Train with the best source's features, labelled and unlabelled samples alike."""
    model = begin(student, start)
    width = student.width(model)
    with seeded(student.training, "absorbing"):
        absorbing = Absorbing(
            model,
            frozen({student.best: student.peers.models[student.best]}),
            layer=student.layer,
            see=features(student.layer),
            example=student.example.to(student.device),
            width=width,
            steps=student.steps,
        )
    return student.fit(absorbing, terms=[Aside(absorbing, WEIGHT)])
