"""V plus a small network (Nonlinear Multi-Model Reuse, MMSP 2022): an ablation of Eq. 2's linearity."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.reuse.transform import Reconstruction


class NonlinearReconstruction(Reconstruction):
    """Eq. 2's mode products plus a correction: two layers with a ReLU between them, along the first mode.

    The second layer starts at 0, so at first the result is that of the linear V. `fit` sets the linear part.

    Parameters
    ----------
    target_shape, source_shape : sequence of int
        As for `Reconstruction`. The network takes the output of the linear V.
    hidden : int, default 64
        Units between the two layers.

    Raises
    ------
    BadArgument
        `hidden` is not positive, or as for `Reconstruction`.

    Examples
    --------
    >>> v = NonlinearReconstruction((8, 4), (16, 2), hidden=5)
    >>> v(torch.zeros(3, 8, 4)).shape
    torch.Size([3, 16, 2])
    """

    def __init__(self, target_shape: Sequence[int], source_shape: Sequence[int], *, hidden: int = 64) -> None:
        super().__init__(target_shape, source_shape)
        if hidden < 1:
            raise BadArgument(f"hidden = {hidden}: give at least 1 unit")
        self.first = nn.Linear(source_shape[0], hidden)
        self.second = nn.Linear(hidden, source_shape[0])
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Reconstruct the source's features: (N, d_1, ..., d_Q) to (N, e_1, ..., e_Q)."""
        linear = super().forward(z)
        correction: Tensor = self.second(torch.relu(self.first(linear.movedim(1, -1))))
        return linear + correction.movedim(-1, 1)
