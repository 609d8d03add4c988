"""A source that comes late: the state that is kept of a training grows by that source's V and weight."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fedretina.reuse import ReuseObjective

State = Mapping[str, Any]
LOGITS = "alpha.logits"
STATISTICS = "running."


def newcomers(objective: nn.Module, kept: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Name the sources of an objective of which its kept state knows nothing; none where it is no `ReuseObjective`."""
    if not isinstance(objective, ReuseObjective):
        return ()
    names = {module: f"v.{name}." for name, module in objective.v.named_children()}
    layer = objective.layers[0]
    prefixes = {source: names[objective.reconstruction(source, layer)] for source in objective.alpha.sources}
    return tuple(source for source, prefix in prefixes.items() if not any(key.startswith(prefix) for key in kept))


def grown(objective: nn.Module, kept: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Make the state of an objective out of one that had fewer sources.

    What is kept stays; a newcomer's V is as `objective` has it, its weight 1 / M, while those of the others keep their
    proportions. The running statistics begin anew: they reach back no further than some ten batches.

    Parameters
    ----------
    objective : Module
        With all sources.
    kept : mapping of str to Tensor
        The state, possibly of fewer sources.

    Returns
    -------
    mapping of str to Tensor
        A state that fits `objective`: `kept` itself where nobody is new.
    """
    new = newcomers(objective, kept)
    if not new:
        return kept
    assert isinstance(objective, ReuseObjective)
    fresh, logits = objective.state_dict(), kept[LOGITS]
    known = [place for place, source in enumerate(objective.alpha.sources) if source not in new]
    mean = logits.exp().mean(0).log()
    weights = mean.expand_as(fresh[LOGITS]).clone()
    weights[known] = logits
    anew = {name: value for name, value in fresh.items() if name.startswith(STATISTICS)}
    return {**fresh, **kept, **anew, LOGITS: weights}


def rearranged(optimizer: torch.optim.Optimizer, names: Sequence[str], kept: State, kept_names: Sequence[str]) -> State:
    """Make an optimizer's state out of one of fewer parameters: theirs, by name, where the shapes are the same.

    Parameters
    ----------
    optimizer : Optimizer
        With all parameters.
    names, kept_names : sequence of str
        Of the parameters of `optimizer` and of those of `kept`, in their order.
    kept : mapping
        An optimizer's state.
    """
    shapes = [p.shape for group in optimizer.param_groups for p in group["params"]]
    before = {name: kept["state"][place] for place, name in enumerate(kept_names) if place in kept["state"]}
    state = {
        place: before[name]
        for place, (name, shape) in enumerate(zip(names, shapes, strict=True))
        if name in before and before[name]["exp_avg"].shape == shape
    }
    return {**optimizer.state_dict(), "state": state}
