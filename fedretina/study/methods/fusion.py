"""A network whose embedding takes in what frozen experts say of the same inputs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fedretina.features import Taps
from fedretina.study.student import logits
from fedretina.train import ForwardPass, Term

See = Callable[[nn.Module, Tensor], Tensor]


def features(layer: str) -> See:
    """See the output of an expert's layer, (N, d)."""

    def see(expert: nn.Module, inputs: Tensor) -> Tensor:
        with Taps(expert, [layer]) as taps:
            expert(inputs)
            return taps.collect()[layer]

    return see


def outputs(expert: nn.Module, inputs: Tensor) -> Tensor:
    """See what an expert puts out: the logarithms of its classes' probabilities, (N, classes)."""
    return logits(expert(inputs)).log_softmax(1)


class Fusion(nn.Module):
    """A target, and experts beside it, standardised: `fuse` says what becomes of the embedding.

    The fused embedding takes the place of the target's own in all that follows it: its classifier, and retrieval. Derive
    from it.

    Parameters
    ----------
    target : Module
        What is trained.
    experts : sequence of Module
        Frozen; they stay in evaluation mode.
    layer : str
        The target's embedding.
    see : callable
        What is seen of an expert.
    example : Tensor
        A batch, to see shapes by.
    """

    aside: Tensor

    def __init__(self, target: nn.Module, experts: Sequence[nn.Module], *, layer: str, see: See, example: Tensor) -> None:
        super().__init__()
        self.target, self.experts, self.layer, self.see = target, nn.ModuleList(experts), layer, see
        with torch.no_grad():
            self.widths = [see(expert, example).shape[1] for expert in experts]
        self.scales = nn.ModuleList(nn.BatchNorm1d(width, affine=False) for width in self.widths)
        self.aside = example.new_zeros(())

    def fuse(self, z: Tensor, said: list[Tensor]) -> Tensor:
        """Make the embedding, (N, d), of the target's own and of what the experts said, (N, d_m) each."""
        raise NotImplementedError

    def hears(self) -> bool:
        """Whether the experts are asked at all, now."""
        return True

    def forward(self, inputs: Tensor) -> Any:
        """Run experts and target; give the target's kind of output."""
        said = self._said(inputs) if self.hears() else []
        hook = self.target.get_submodule(self.layer).register_forward_hook(lambda _m, _in, z: self.fuse(z, said))
        try:
            return self.target(inputs)
        finally:
            hook.remove()

    def _said(self, inputs: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return [scale(self.see(expert, inputs)) for expert, scale in zip(self.experts, self.scales, strict=True)]

    def train(self, mode: bool = True) -> "Fusion":
        """Set the mode of everything but the experts."""
        super().train(mode)
        self.experts.eval()
        return self


class Aside(Term):
    """The term that a fusion computes while it runs.

    Parameters
    ----------
    fusion : Fusion
        Whose `aside` is meant.
    weight : float
        Of the term.
    """

    def __init__(self, fusion: Fusion, weight: float) -> None:
        self.fusion, self.weight = fusion, weight

    def loss(self, forward: ForwardPass) -> Tensor:
        """Take the value that the fusion computed on this batch."""
        del forward
        return self.weight * self.fusion.aside
