"""Terms of the loss: the supervised loss, and further terms such as reuse."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from fedretina.task import Task


class ForwardPass(NamedTuple):
    """One batch, and the outputs of the model in training.

    Attributes
    ----------
    inputs : Tensor
        (B, ...), the labelled samples first.
    labels : Tensor
        Labels of the labelled samples, (B_l,), int64, with B_l <= B.
    output : Any
        The model's output for the whole batch.
    z : mapping of str to Tensor
        The outputs of the layers that the term names.
    progress : float
        Finished fraction of the training, 0 to 1.
    """

    inputs: Tensor
    labels: Tensor
    output: Any
    z: Mapping[str, Tensor]
    progress: float


class Term(Protocol):
    """One term of the loss. Derive from it; the defaults have no parameters of their own and read no layer.

    Attributes
    ----------
    layers : tuple of str
        The model's layers whose outputs `loss` reads. Default: none.
    """

    layers: tuple[str, ...] = ()

    @property
    def module(self) -> nn.Module:
        """The term's own parameters; the learner saves their state with the model's."""
        return nn.Module()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Give the optimizer's parameter groups of `module`; their key "scale" is a factor of the learning rate."""
        return []

    def loss(self, forward: ForwardPass) -> Tensor | None:
        """Compute the term for a batch, a scalar; None if it adds nothing."""
        ...


class SupervisedLoss(Term):
    """The task's loss on the labelled samples of a batch.

    Parameters
    ----------
    task : Task
        Defines the loss.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def loss(self, forward: ForwardPass) -> Tensor:
        """Compute L of Eq. 1.

        Tensors are cut even if all samples are labelled: the cut fixes the order in which torch adds gradients, and so the
        last bits of a run.
        """
        output, labelled = forward.output, len(forward.labels)
        if labelled < len(forward.inputs) or isinstance(output, Tensor | tuple):
            output = take_first(output, labelled)
        return self.task.loss(output, forward.labels)


def take_first(output: object, count: int) -> object:
    """Take the first samples of a model's output, a tensor or a tuple of tensors.

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
