"""The weight of reuse over the training: first V learns, then the target."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from fedretina.errors import BadArgument


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The factor of gamma at each step: 0 while V alone learns, then a linear ramp to 1, and 0 again from `end` on.

    Parameters
    ----------
    warm_up : int, default 0
        Steps at the start in which V learns and the target gets no gradient of the reuse loss.
    ramp : int, default 0
        Steps in which the factor grows from 0 to 1.
    end : int, optional
        Step from which the factor is 0 again. Default: never.

    Raises
    ------
    BadArgument
        A number is negative, or `end` is before the end of the ramp.

    Examples
    --------
    >>> schedule = Schedule(warm_up=2, ramp=4, end=8)
    >>> [schedule.weight(step) for step in range(10)]
    [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.0, 0.0]
    """

    warm_up: int = 0
    ramp: int = 0
    end: int | None = None

    def __post_init__(self) -> None:
        if self.warm_up < 0 or self.ramp < 0:
            raise BadArgument(f"warm_up = {self.warm_up}, ramp = {self.ramp}: integers of 0 or more are allowed")
        if self.end is not None and self.end < self.warm_up + self.ramp:
            raise BadArgument(f"end = {self.end}: it must not come before warm_up + ramp = {self.warm_up + self.ramp}")

    def weight(self, step: int) -> float:
        """Give the factor of gamma at a step, 0 to 1."""
        if self.end is not None and step >= self.end:
            return 0.0
        if not self.ramp:
            return float(step >= self.warm_up)
        return linear_ramp(step + 1 - self.warm_up, self.ramp)


def linear_ramp(position: float, length: float) -> float:
    """Compute a linear ramp: 0 at position 0 and before, 1 at `length` and after.

    Examples
    --------
    >>> [linear_ramp(position, 4) for position in (-1, 0, 1, 4, 9)]
    [0.0, 0.0, 0.25, 1.0, 1.0]
    """
    return min(1.0, max(0.0, position / length))


def scale_gradients(z: Mapping[str, Tensor], weight: float) -> Mapping[str, Tensor]:
    """Return features with the same values, whose gradients are multiplied by a weight.

    So the reuse loss has a smaller effect on the target, and its full effect on V.

    Parameters
    ----------
    z : mapping of str to Tensor
        Features by layer, with their autograd graph.
    weight : float
        From 0 to 1.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> scale_gradients({"a": x}, 0.25)["a"].sum().backward()
    >>> x.grad
    tensor([0.2500, 0.2500])
    """
    if weight >= 1:
        return z
    return {name: value.detach() + weight * (value - value.detach()) for name, value in z.items()}
