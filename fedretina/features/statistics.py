"""Running means over batches: of features' variances, of sources' residuals, of numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MOMENTUM = 0.1
"""Weight of a new batch; the first ten count alike."""


def running_mean(values: Sequence[float]) -> float:
    """Compute the running mean of numbers, oldest first: the first ten count alike, later ones a tenth.

    Examples
    --------
    >>> running_mean([0.5, 0.25])
    0.375
    """
    mean = torch.zeros(())
    for number, value in enumerate(values):
        mean.lerp_(torch.tensor(value), weight_of_next(torch.tensor(number)))
    return mean.item()


def weight_of_next(batches: Tensor) -> Tensor:
    """Return the weight of the next batch after a number of them."""
    return (1 / (batches + 1)).clamp_min(MOMENTUM)


class RunningStatistics(nn.Module):
    """Running means of the sources' features. It is a module so that they travel with the objective's state and device.

    Parameters
    ----------
    sources, layers : int
        M and H'.

    Examples
    --------
    >>> running = RunningStatistics(1, 1)
    >>> running.remember(running.with_batch(torch.tensor([[4.0]])), torch.tensor([[0.5]]))
    >>> running.with_batch(torch.tensor([[2.0]]))
    tensor([[3.]])
    """

    variance: Tensor
    residual: Tensor
    batches: Tensor

    def __init__(self, sources: int, layers: int) -> None:
        super().__init__()
        self.register_buffer("variance", torch.zeros(sources, layers))
        self.register_buffer("residual", torch.zeros(sources, layers))
        self.register_buffer("batches", torch.tensor(0))

    def with_batch(self, variance: Tensor) -> Tensor:
        """Give the running variance, (M, H'), with this batch's; in eval mode the one remembered, if any."""
        if self.training or not self.batches:
            return self.variance.lerp(variance.to(self.variance), weight_of_next(self.batches))
        return self.variance

    @torch.no_grad()
    def remember(self, variance: Tensor, residual: Tensor) -> None:
        """Keep a running variance, (M, H'), and average in a batch's residuals, (M, H'); not in eval mode."""
        if self.training:
            self.residual.lerp_(residual.to(self.residual), weight_of_next(self.batches))
            self.variance.copy_(variance)
            self.batches += 1
