"""What the objective remembers from batch to batch: the features' variance and the sources' residuals."""

import torch
from torch import Tensor, nn

MOMENTUM = 0.1
"""Weight of a new batch; the first ten count alike."""


class RunningStatistics(nn.Module):
    """Running means over batches, in buffers, so that they travel with the state.

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
            return self.variance.lerp(variance.to(self.variance), self._weight())
        return self.variance

    @torch.no_grad()
    def remember(self, variance: Tensor, residual: Tensor) -> None:
        """Keep a running variance, (M, H'), and average in a batch's residuals, (M, H'); not in eval mode."""
        if self.training:
            self.residual.lerp_(residual.to(self.residual), self._weight())
            self.variance.copy_(variance)
            self.batches += 1

    def _weight(self) -> Tensor:
        return (1 / (self.batches + 1)).clamp_min(MOMENTUM)
