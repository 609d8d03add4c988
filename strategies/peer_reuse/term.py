"""What peers, or anything else, may add to a step's loss."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn


class Step(NamedTuple):
    """One batch on its way through the model in training.

    Attributes
    ----------
    inputs : Tensor
        (B, ...), the labelled samples first.
    labels : Tensor
        Of the labelled samples, (B_l,), B_l <= B.
    output : Any
        What the model gave for all of the batch.
    z : mapping of str to Tensor
        What the layers that the term asked for gave.
    done : float
        The part of the training that is over, 0 to 1.
    """

    inputs: Tensor
    labels: Tensor
    output: Any
    z: Mapping[str, Tensor]
    done: float


class Term(Protocol):
    """A term of the loss beside the supervised one.

    Attributes
    ----------
    objective : Module
        What is trained beside the model; its state is kept with the model's. Without parameters: nothing is.
    layers : tuple of str
        The model's layers that `loss` wants to see; may be empty.
    """

    @property
    def objective(self) -> nn.Module: ...  # noqa: D102  # said above

    @property
    def layers(self) -> tuple[str, ...]: ...  # noqa: D102

    def groups(self) -> list[dict[str, Any]]:
        """Give the parameter groups of `objective`; `scale` is their learning rate's factor."""
        ...

    def loss(self, step: Step) -> Tensor:
        """Compute the term for a batch, a scalar."""
        ...
