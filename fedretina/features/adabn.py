"""AdaBN: a source's BatchNorm learns the target domain's statistics, without labels."""

from collections.abc import Iterable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedretina.errors import BadArgument
from fedretina.features.modes import evaluating


def adapt_batchnorm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Estimate a model's BatchNorm statistics anew on the target's inputs.

    Means and variances become averages over the given batches, each batch counting the same: give batches of
    one size, of 32 samples or more. Weights, modes, momentum and everything else stay; dropout is off
    meanwhile. A model without running statistics is left alone, its batches unread. After an error the
    statistics are the old ones.

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
        There is no batch, one is no tensor or not finite, or it leaves a BatchNorm a single value per
        channel.

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
    with evaluating(model), torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # torch's word for the cumulative average
            norm.train()
        for number, batch in enumerate(batches):
            _run(model, batch, number)
    if number < 0:
        raise BadArgument("adapt_batchnorm got no batch: give the target's inputs; an iterator serves once")


def _run(model: nn.Module, batch: Tensor, number: int) -> None:
    if not isinstance(batch, Tensor):
        raise BadArgument(f"batch {number} is a {type(batch).__name__}, not a tensor: give (x for x, _ in loader)")
    if not batch.isfinite().all():
        raise BadArgument(f"batch {number} has NaN or infinite values: leave it out, or mend its source")
    try:
        model(batch)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise BadArgument(
            f"batch {number}, of shape {tuple(batch.shape)}, leaves a BatchNorm one value per channel, which "
            f"has no variance: give at least 2 samples a batch (drop_last=True drops a short last one)"
        ) from error
