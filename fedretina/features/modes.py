"""Run a model in eval mode, and restore its modes afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode inside the block, and restore every submodule's own mode at the end.

    `model.train()` would put all submodules into train mode, also those that the user froze on purpose.

    Parameters
    ----------
    model : nn.Module
        Any network, in any mode.

    Examples
    --------
    >>> model = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    >>> with eval_mode(model):
    ...     [m.training for m in model]
    [False, False]
    >>> [m.training for m in model]
    [True, False]
    """
    modes = {module: module.training for module in model.modules()}
    if any(modes.values()):  # frozen peers never are, and there may be hundreds
        model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
