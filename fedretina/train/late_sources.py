"""Sources that join late: the saved state of a training gets their V and their weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fedretina.reuse import ReuseObjective

State = Mapping[str, Any]
LOGITS = "alpha.logits"
STATISTICS = "running."


def new_sources(objective: nn.Module, saved: Mapping[str, Tensor]) -> tuple[str, ...]:
    """List the sources of an objective that its saved state does not have; none if it is not a `ReuseObjective`."""
    if not isinstance(objective, ReuseObjective):
        return ()
    names = {module: f"v.{name}." for name, module in objective.v.named_children()}
    layer = objective.layers[0]
    prefixes = {source: names[objective.reconstruction(source, layer)] for source in objective.alpha.sources}
    return tuple(source for source, prefix in prefixes.items() if not any(key.startswith(prefix) for key in saved))


def extend_state(objective: nn.Module, saved: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Extend the saved state of an objective that had fewer sources.

    The saved values do not change. A new source gets the V of `objective` and the weight 1 / M; the other weights keep their
    proportions. The running statistics restart: they cover only about ten batches.

    Parameters
    ----------
    objective : Module
        The objective of all sources.
    saved : mapping of str to Tensor
        The state of this objective, or of one with fewer sources.

    Returns
    -------
    mapping of str to Tensor
        A state of `objective`; `saved` itself if no source is new.
    """
    new = new_sources(objective, saved)
    if not new:
        return saved
    assert isinstance(objective, ReuseObjective)
    initial, logits = objective.state_dict(), saved[LOGITS]
    known = [index for index, source in enumerate(objective.alpha.sources) if source not in new]
    mean = logits.exp().mean(0).log()
    weights = mean.expand_as(initial[LOGITS]).clone()
    weights[known] = logits
    statistics = {name: value for name, value in initial.items() if name.startswith(STATISTICS)}
    return {**initial, **saved, **statistics, LOGITS: weights}


def extend_optimizer_state(
    optimizer: torch.optim.Optimizer, names: Sequence[str], saved: State, saved_names: Sequence[str]
) -> State:
    """Extend the saved state of an optimizer that had fewer parameters.

    A parameter keeps its state if its name and its shape are the same.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer of all parameters.
    names, saved_names : sequence of str
        Names of the parameters of `optimizer`, and of those in `saved`, each in the optimizer's order.
    saved : mapping
        The state of the optimizer with fewer parameters.

    Returns
    -------
    mapping
        A state of `optimizer`.
    """
    shapes = [p.shape for group in optimizer.param_groups for p in group["params"]]
    before = {name: saved["state"][index] for index, name in enumerate(saved_names) if index in saved["state"]}
    state = {
        index: before[name]
        for index, (name, shape) in enumerate(zip(names, shapes, strict=True))
        if name in before and before[name]["exp_avg"].shape == shape
    }
    return {**optimizer.state_dict(), "state": state}
