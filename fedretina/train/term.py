"""Terms of the loss: the supervised loss is one, whatever peers add is another."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from fedretina.task import Task


class ForwardPass(NamedTuple):
    """One batch, and what the model in training gave for it.

    Attributes
    ----------
    inputs : Tensor
        (B, ...), the labelled samples first.
    labels : Tensor
        Of the labelled samples, (B_l,), B_l <= B.
    output : Any
        The model's output for the whole batch.
    z : mapping of str to Tensor
        The outputs of the layers that the term named.
    progress : float
        The part of the training that is over, 0 to 1.
    """

    inputs: Tensor
    labels: Tensor
    output: Any
    z: Mapping[str, Tensor]
    progress: float


class Term(Protocol):
    """One term of the loss. Derive from it: by default nothing is trained beside the model, and no layer is read.

    Attributes
    ----------
    layers : tuple of str
        The model's layers whose outputs `loss` reads; may be empty.
    """

    layers: tuple[str, ...] = ()

    @property
    def module(self) -> nn.Module:
        """What is trained beside the model; the learner saves its state with the model's."""
        return nn.Module()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Give the optimizer's parameter groups of `module`; `scale` multiplies the learning rate."""
        return []

    def loss(self, forward: ForwardPass) -> Tensor | None:
        """Compute the term for a batch, a scalar; None where it adds nothing."""
        ...


class SupervisedLoss(Term):
    """The task's loss on the labelled samples of a batch.

    Parameters
    ----------
    task : Task
        Gives the loss.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def loss(self, forward: ForwardPass) -> Tensor:
        """Compute L of Eq. 1."""
        labelled = len(forward.labels)
        output = forward.output if labelled == len(forward.inputs) else take_first(forward.output, labelled)
        return self.task.loss(output, forward.labels)


def take_first(output: object, count: int) -> object:
    """Cut a model's output down to its first samples: a tensor, or a tuple of them.

    Examples
    --------
    >>> import torch
    >>> take_first((torch.zeros(4, 2), torch.ones(4)), 2)[1]
    tensor([1., 1.])
    """
    if isinstance(output, Tensor):
        return output[:count]
    if isinstance(output, tuple):
        parts = tuple(take_first(part, count) for part in output)
        return output._make(parts) if hasattr(output, "_make") else parts
    raise TypeError(f"a model's output must be a tensor or a tuple of tensors, not {type(output).__name__}")
