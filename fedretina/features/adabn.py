"""AdaBN: re-estimate a model's BatchNorm statistics on a target domain, without labels."""

from collections.abc import Iterable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedretina.errors import BadArgument
from fedretina.features.modes import eval_mode


def adapt_batchnorm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Re-estimate a model's BatchNorm statistics on the target's inputs.

    The new means and variances are averages over the batches. Every batch has the same weight, so give batches of
    equal size, of 32 samples or more. Dropout is off meanwhile. Weights, modes and momentum do not change.
    A model without running statistics is not changed, and its batches are not read. After an error the model
    has its old statistics.

    Source: Li et al., "Revisiting Batch Normalization For Practical Domain Adaptation", 2016.

    Parameters
    ----------
    model : nn.Module
        Changed in place.
    batches : iterable of Tensor
        Inputs of the model, on its device: (N, ...).

    Raises
    ------
    BadArgument
        There is no batch; a batch is not a tensor or not finite; or a BatchNorm gets a single value per channel.

    Examples
    --------
    >>> model = nn.Sequential(nn.BatchNorm1d(2)).eval()
    >>> adapt_batchnorm(model, [torch.tensor([[1.0, 5.0], [3.0, 9.0]])])
    >>> model[0].running_mean
    tensor([2., 7.])
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if not norms:
        return
    before = [(norm, norm.momentum, deepcopy(norm.state_dict())) for norm in norms]
    try:
        _estimate(model, norms, batches)
    except BaseException:
        for norm, _, state in before:
            norm.load_state_dict(state)
        raise
    finally:
        for norm, momentum, _ in before:
            norm.momentum = momentum


def _estimate(model: nn.Module, norms: list[_BatchNorm], batches: Iterable[Tensor]) -> None:
    number = -1
    with eval_mode(model), torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # None: torch then computes the cumulative average
            norm.train()
        for number, batch in enumerate(batches):
            _run(model, batch, number)
    if number < 0:
        raise BadArgument("adapt_batchnorm got no batch: give the target's inputs; an iterator can be read only once")


def _run(model: nn.Module, batch: Tensor, number: int) -> None:
    if not isinstance(batch, Tensor):
        raise BadArgument(f"batch {number} is a {type(batch).__name__}, not a tensor: give (x for x, _ in loader)")
    if not batch.isfinite().all():
        raise BadArgument(f"batch {number} has NaN or infinite values: leave it out, or correct the data")
    try:
        model(batch)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise BadArgument(
            f"batch {number}, of shape {tuple(batch.shape)}, leaves a BatchNorm one value per channel, which "
            f"has no variance: give at least 2 samples a batch (drop_last=True drops a short last one)"
        ) from error
