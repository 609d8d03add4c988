"""V: it reconstructs a source's features from the target's (Eq. 2, Eq. 3)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument

NOISE = 0.01
"""Standard deviation of V's initial values around the identity: rows beyond the identity would otherwise start at 0."""


def mode_product(z: Tensor, v: Tensor, mode: int) -> Tensor:
    """Multiply each tensor of a batch by a matrix along one mode, z x_q v (Eq. 2).

    Parameters
    ----------
    z : Tensor
        (N, d_1, ..., d_Q). The batch comes first, so mode q is dimension q.
    v : Tensor
        (e, d_q).
    mode : int
        q, from 1 to Q.

    Returns
    -------
    Tensor
        (N, d_1, ..., e, ..., d_Q).

    Raises
    ------
    BadArgument
        z has no such mode, or v has another number of columns than z has entries along that mode.

    Examples
    --------
    >>> mode_product(torch.ones(2, 3, 4), torch.ones(5, 4), mode=2).shape
    torch.Size([2, 3, 5])
    """
    if not 1 <= mode < z.dim():
        raise BadArgument(f"mode {mode} does not exist in {_shape_text(z.shape)}: modes go from 1 to {z.dim() - 1}")
    if v.dim() != 2 or v.shape[1] != z.shape[mode]:
        raise BadArgument(
            f"mode {mode} of {_shape_text(z.shape)} takes a matrix of {z.shape[mode]} columns, not {_shape_text(v.shape)}"
        )
    product: Tensor = torch.tensordot(z, v, dims=([mode], [1]))
    return product.movedim(-1, mode)


def ridge(z_target: Tensor, z_source: Tensor, strength: float = 1e-2) -> Tensor:
    """Solve Eq. 3 for V in closed form: min_V mean_n ||z^m_n - V z_n||^2 + penalty ||V||^2.

    Parameters
    ----------
    z_target : Tensor
        z_n, (N, d).
    z_source : Tensor
        z^m_n, (N, e).
    strength : float, default 0.01
        The penalty, as a fraction of the mean square of the target's features. Positive.

    Returns
    -------
    Tensor
        V, (e, d), in the dtype of `z_target`; solved in float64.

    Raises
    ------
    BadArgument
        The shapes do not fit, a value is not finite, or the strength is not positive.

    Examples
    --------
    >>> z = torch.eye(3)
    >>> ridge(z, 2 * z, strength=1e-6).round(decimals=3).diagonal()
    tensor([2., 2., 2.])
    """
    if not (math.isfinite(strength) and strength > 0):
        raise BadArgument(f"strength must be a positive number, not {strength}: 0.01 is a good start")
    if z_target.dim() != 2 or z_source.dim() != 2 or len(z_target) != len(z_source) or not len(z_target):
        raise BadArgument(
            f"ridge takes (N, d) and (N, e), not {_shape_text(z_target.shape)} and {_shape_text(z_source.shape)}"
        )
    x, y = z_target.double(), z_source.double()
    if not (x.isfinite().all() and y.isfinite().all()):
        raise BadArgument("ridge takes finite features, but these have NaN or infinite values: leave that source out")
    second_moment = x.T @ x / len(x)
    scale = second_moment.diagonal().mean()
    penalty = strength * torch.where(scale > 0, scale, torch.ones_like(scale))
    penalised = second_moment + penalty * torch.eye(len(second_moment), dtype=x.dtype, device=x.device)
    solution: Tensor = torch.linalg.solve(penalised, x.T @ y / len(x))
    return solution.T.to(z_target.dtype)


class Reconstruction(nn.Module):
    """V of Eq. 2: one matrix V_q per mode maps the target's features to a source's.

    For vectors (Q = 1) this is Eq. 3, a linear map without bias. V starts near the identity, rectangular where the
    shapes differ. So a target that starts as a copy of its source reconstructs it from the first step.

    Parameters
    ----------
    target_shape, source_shape : sequence of int
        (d_1, ..., d_Q) and (e_1, ..., e_Q), without the batch. Both have the same order Q >= 1.

    Raises
    ------
    BadArgument
        The orders differ, or a size is not positive.

    Examples
    --------
    >>> v = Reconstruction((8, 4, 2), (16, 4, 2))
    >>> v(torch.zeros(5, 8, 4, 2)).shape
    torch.Size([5, 16, 4, 2])
    """

    def __init__(self, target_shape: Sequence[int], source_shape: Sequence[int]) -> None:
        super().__init__()
        _check_shapes(target_shape, source_shape)
        self.target_shape, self.source_shape = tuple(target_shape), tuple(source_shape)
        pairs = zip(source_shape, target_shape, strict=True)
        self.v = nn.ParameterList(nn.Parameter(torch.eye(e, d) + NOISE * torch.randn(e, d)) for e, d in pairs)

    def forward(self, z: Tensor) -> Tensor:
        """Reconstruct the source's features: (N, d_1, ..., d_Q) to (N, e_1, ..., e_Q)."""
        return self._product(z.to(self.v[0].dtype), skip=0)

    def _product(self, z: Tensor, *, skip: int) -> Tensor:
        for mode, v in enumerate(self.v, start=1):
            if mode != skip:
                z = mode_product(z, v, mode)
        return z

    @torch.no_grad()
    def fit(self, target_z: Tensor, source_z: Tensor, *, strength: float = 1e-2, sweeps: int = 3) -> None:
        """Set V by least squares, as a warm start.

        For vectors this is one `ridge`. For tensors of a higher order it is alternating least squares: a few sweeps, each of
        which sets every V_q by `ridge` while the others are fixed.

        Parameters
        ----------
        target_z, source_z : Tensor
            (N, d_1, ..., d_Q) and (N, e_1, ..., e_Q): the same N samples. For vectors, N well above d.
        strength : float, default 0.01
            As for `ridge`.
        sweeps : int, default 3
            Sweeps over the modes. Vectors need one, which is exact.

        Raises
        ------
        BadArgument
            The shapes do not fit this V, or as for `ridge`.
        """
        if sweeps < 1:
            raise BadArgument(f"sweeps must be at least 1, not {sweeps}")
        given = tuple(target_z.shape[1:]), tuple(source_z.shape[1:])
        if given != (self.target_shape, self.source_shape):
            raise BadArgument(
                f"this V takes {self.target_shape} to {self.source_shape}, not {given[0]} to {given[1]}: "
                f"give the layers that it was made for"
            )
        z = target_z.to(self.v[0].dtype)
        for _ in range(sweeps if len(self.v) > 1 else 1):
            for mode, v in enumerate(self.v, start=1):
                others_applied = self._product(z, skip=mode)
                v.copy_(ridge(_unfold(others_applied, mode), _unfold(source_z, mode), strength))


def _unfold(z: Tensor, mode: int) -> Tensor:
    """Unfold along a mode: (N, d_1, ..., d_Q) to (N * all the others, d_mode)."""
    return z.movedim(mode, -1).flatten(0, -2)


def _check_shapes(target: Sequence[int], source: Sequence[int]) -> None:
    if len(target) != len(source) or not len(target):
        raise BadArgument(
            f"the target's features {_shape_text(target)} have order {len(target)}, the source's {_shape_text(source)} have "
            f"order {len(source)}: V needs one order, at least 1, without the batch; tap layers of equal order"
        )
    if min(*target, *source) < 1:
        raise BadArgument(f"features need positive sizes, not {_shape_text(target)} and {_shape_text(source)}")


def _shape_text(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
