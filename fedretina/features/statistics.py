"""Running means over batches: of features' variances, of sources' residuals, of numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MOMENTUM = 0.1
"""Weight of a new batch, after the first ten batches. These have equal weights."""


def running_mean(values: Sequence[float]) -> float:
    """Compute the running mean of numbers.

    The first ten numbers have equal weights; each later number has weight 0.1.

    Parameters
    ----------
    values : sequence of float
        The numbers, oldest first.

    Examples
    --------
    >>> running_mean([0.5, 0.25])
    0.375
    """
    mean = torch.zeros(())
    for number, value in enumerate(values):
        mean.lerp_(torch.tensor(value), _batch_weight(torch.tensor(number)))
    return mean.item()


def _batch_weight(batches: Tensor) -> Tensor:
    """Give the weight of the next batch, after this number of batches."""
    return (1 / (batches + 1)).clamp_min(MOMENTUM)


class RunningStatistics(nn.Module):
    """Running variances and residuals of the sources' features, (M, H') each.

    They are buffers of a module, so they belong to the objective's state and follow its device. They change in train
    mode only.

    Parameters
    ----------
    sources, layers : int
        Numbers of sources, M, and of layers, H'.

    Examples
    --------
    >>> running = RunningStatistics(1, 1)
    >>> running.update(running.next_variance(torch.tensor([[4.0]])), torch.tensor([[0.5]]))
    >>> running.next_variance(torch.tensor([[2.0]]))
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

    def next_variance(self, variance: Tensor) -> Tensor:
        """Average a batch's variance, (M, H'), into the running one and return it; in eval mode return the stored one."""
        if self.training or not self.batches:
            return self.variance.lerp(variance.to(self.variance), _batch_weight(self.batches))
        return self.variance

    @torch.no_grad()
    def update(self, variance: Tensor, residual: Tensor) -> None:
        """Store a running variance, (M, H'), and average in a batch's residuals, (M, H'); in eval mode do nothing."""
        if self.training:
            self.residual.lerp_(residual.to(self.residual), _batch_weight(self.batches))
            self.variance.copy_(variance)
            self.batches += 1
