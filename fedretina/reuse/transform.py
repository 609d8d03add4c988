"""V: the target's features reconstruct a source's (Eq. 2, Eq. 3)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fedretina.errors import BadArgument

NOISE = 0.01
"""Standard deviation about the identity at the start: it also feeds source features beyond the target's."""


def mode_product(z: Tensor, v: Tensor, mode: int) -> Tensor:
    """Multiply each tensor of a batch by a matrix along one mode, z x_q v (Eq. 2).

    Parameters
    ----------
    z : Tensor
        (N, d_1, ..., d_Q): the batch comes first, so mode q is dimension q.
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
        z has no such mode, or v's columns are not as many as its entries along that mode.

    Examples
    --------
    >>> mode_product(torch.ones(2, 3, 4), torch.ones(5, 4), mode=2).shape
    torch.Size([2, 3, 5])
    """
    if not 1 <= mode < z.dim():
        raise BadArgument(f"mode {mode} does not exist in {_show(z.shape)}: modes go from 1 to {z.dim() - 1}")
    if v.dim() != 2 or v.shape[1] != z.shape[mode]:
        raise BadArgument(f"mode {mode} of {_show(z.shape)} takes a matrix of {z.shape[mode]} columns, not {_show(v.shape)}")
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
        The penalty, as a fraction of the mean square of the target's features; positive.

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
        raise BadArgument(f"ridge takes (N, d) and (N, e) not {_show(z_target.shape)} and {_show(z_source.shape)}")
    x, y = z_target.double(), z_source.double()
    if not (x.isfinite().all() and y.isfinite().all()):
        raise BadArgument("ridge takes finite features: these have NaN or infinite values")
    moment = x.T @ x / len(x)
    scale = moment.diagonal().mean()
    penalty = strength * torch.where(scale > 0, scale, torch.ones_like(scale))
    penalised = moment + penalty * torch.eye(len(moment), dtype=x.dtype, device=x.device)
    solution: Tensor = torch.linalg.solve(penalised, x.T @ y / len(x))
    return solution.T.to(z_target.dtype)


class Reconstruction(nn.Module):
    """V of Eq. 2: one matrix V_q a mode takes the target's features to a source's.

    For vectors (Q = 1) this is Eq. 3, a linear map without bias. V starts near the identity, rectangular
    where the shapes differ: a target that started as a copy of its source reconstructs it at once.

    Parameters
    ----------
    target_shape, source_shape : sequence of int
        (d_1, ..., d_Q) and (e_1, ..., e_Q), without the batch; of the same order Q >= 1.

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

        Vectors take one `ridge`. Tensors of a higher order take alternating least squares: each V_q in turn
        by `ridge`, the others held, in a few sweeps.

        Parameters
        ----------
        target_z, source_z : Tensor
            (N, d_1, ..., d_Q) and (N, e_1, ..., e_Q): the same N samples. For vectors, N well above d.
        strength : float, default 0.01
            As for `ridge`.
        sweeps : int, default 3
            Rounds over the modes; for vectors one is exact, and done.

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
                held = self._product(z, skip=mode)
                v.copy_(ridge(_rows(held, mode), _rows(source_z, mode), strength))


def _rows(z: Tensor, mode: int) -> Tensor:
    """Unfold along a mode: (N, d_1, ..., d_Q) to (N * all the others, d_mode)."""
    return z.movedim(mode, -1).flatten(0, -2)


def _check_shapes(target: Sequence[int], source: Sequence[int]) -> None:
    if len(target) != len(source) or not len(target):
        raise BadArgument(
            f"the target's features {_show(target)} have order {len(target)}, the source's {_show(source)} have "
            f"order {len(source)}: V needs one order, at least 1, without the batch; tap layers of equal order"
        )
    if min(*target, *source) < 1:
        raise BadArgument(f"features need positive sizes, not {_show(target)} and {_show(source)}")


def _show(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
