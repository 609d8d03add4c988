"""A network whose embedding is fused with the outputs of frozen experts for the same inputs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fedretina.features import Taps
from fedretina.study.student import Student
from fedretina.train import ForwardPass, Term, class_scores

ReadExpert = Callable[[nn.Module, Tensor], Tensor]


def layer_reader(layer: str) -> ReadExpert:
    """Make a function that gives the output of an expert's layer, (N, d)."""

    def read(expert: nn.Module, inputs: Tensor) -> Tensor:
        with Taps(expert, [layer]) as taps:
            expert(inputs)
            return taps.collect()[layer]

    return read


def embedding_arguments(student: Student, model: nn.Module) -> dict[str, Any]:
    """Give the arguments `layer`, `example` and `width` of a fusion with the student's model."""
    width = student.embedding_width(model)
    return {"layer": student.layer, "example": student.example.to(student.device), "width": width}


def log_probabilities(expert: nn.Module, inputs: Tensor) -> Tensor:
    """Compute the logarithms of an expert's class probabilities, (N, classes)."""
    return class_scores(expert(inputs)).log_softmax(1)


class Fusion(nn.Module):
    """A target and frozen experts. `fuse` computes a new embedding from the target's own and from the experts' outputs.

    The new embedding replaces the target's own in all later layers, and in retrieval. The experts' outputs are standardised
    first. Derive from this class, and define `fuse`.

    Parameters
    ----------
    target : Module
        The model in training.
    experts : sequence of Module
        Frozen models; they stay in eval mode.
    layer : str
        Name of the target's embedding layer.
    read : callable
        Gives an expert's output for a batch, (N, d_m).
    example : Tensor
        A batch, from which the widths of the experts' outputs are found.

    Attributes
    ----------
    auxiliary_loss : Tensor
        A scalar that `fuse` may set at each batch, for `AuxiliaryLoss`.
    """

    auxiliary_loss: Tensor

    def __init__(
        self, target: nn.Module, experts: Sequence[nn.Module], *, layer: str, read: ReadExpert, example: Tensor
    ) -> None:
        super().__init__()
        self.target, self.experts, self.layer, self.read = target, nn.ModuleList(experts), layer, read
        with torch.no_grad():
            self.widths = [read(expert, example).shape[1] for expert in experts]
        self.scales = nn.ModuleList(nn.BatchNorm1d(width, affine=False) for width in self.widths)
        self.auxiliary_loss = example.new_zeros(())

    def fuse(self, z: Tensor, expert_outputs: list[Tensor]) -> Tensor:
        """Compute the embedding, (N, d), from the target's own, (N, d), and the experts' outputs, (N, d_m) each."""
        raise NotImplementedError

    def uses_experts(self) -> bool:
        """Tell whether the experts run in the present mode."""
        return True

    def forward(self, inputs: Tensor) -> Any:
        """Run the experts and the target; return the target's output."""
        outputs = self._expert_outputs(inputs) if self.uses_experts() else []
        hook = self.target.get_submodule(self.layer).register_forward_hook(lambda _m, _in, z: self.fuse(z, outputs))
        try:
            return self.target(inputs)
        finally:
            hook.remove()

    def _expert_outputs(self, inputs: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return [scale(self.read(expert, inputs)) for expert, scale in zip(self.experts, self.scales, strict=True)]

    def train(self, mode: bool = True) -> "Fusion":
        """Set the mode of everything except the experts."""
        super().train(mode)
        self.experts.eval()
        return self


class AuxiliaryLoss(Term):
    """The term of the loss that a fusion computes in its forward pass.

    Parameters
    ----------
    fusion : Fusion
        The model in training; its `auxiliary_loss` is used.
    weight : float
        Weight of the term.
    """

    def __init__(self, fusion: Fusion, weight: float) -> None:
        self.fusion, self.weight = fusion, weight

    def loss(self, forward: ForwardPass) -> Tensor:
        """Give the value that the fusion computed for this batch."""
        del forward
        return self.weight * self.fusion.auxiliary_loss
