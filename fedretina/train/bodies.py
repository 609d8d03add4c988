"""Bodies: the part of a model that domains average. Heads and BatchNorm statistics stay at home.

A head's classes are the domain's own. BatchNorm statistics describe the domain's inputs; its weights are shared (unlike in
FedBN), because they belong to the features that the other layers compute.
"""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedretina.errors import BadArgument
from fedretina.features import list_some
from fedretina.train.start import body_of

Body = Mapping[str, Tensor]
MOST_SAMPLES = 4000
"""A domain's weight in an average is its number of samples, at most this number."""


def shared_body(model: nn.Module, head: str) -> dict[str, Tensor]:
    """Copy the tensors of a model that are averaged: all but its head and its BatchNorm statistics.

    Parameters
    ----------
    model : Module
        The model.
    head : str
        Name of the head, or "" if labels mean the same in every domain.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2), nn.Linear(2, 5))
    >>> sorted(shared_body(model, "2"))
    ['0.weight', '1.bias', '1.weight']
    """
    norms = [name for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
    statistics = {f"{norm}.{name}" for norm in norms for name, _ in model.get_submodule(norm).named_buffers()}
    return {name: value.detach().cpu().clone() for name, value in body_of(model, head).items() if name not in statistics}


def load_body(model: nn.Module, body: Body, head: str) -> None:
    """Load a body into a model; the head and the BatchNorm statistics stay as they are.

    Raises
    ------
    BadArgument
        The body's tensors have other names or shapes than the model's.
    """
    own = {name: value.shape for name, value in shared_body(model, head).items()}
    if other := sorted(name for name in own.keys() | body.keys() if name not in body or own.get(name) != body[name].shape):
        raise BadArgument(
            f"a shared body does not fit the model in {list_some(other)}: only domains with the same `model` share a body; "
            "configure the same `model`, or set co-training = 'off' and body-rounds = 0"
        )
    model.load_state_dict(body, strict=False)


def average_states(states: Sequence[Body], weights: Sequence[float], names: Collection[str]) -> dict[str, Tensor]:
    """Compute the weighted mean of the named tensors; tensors of integers, such as counters, are the first state's.

    Examples
    --------
    >>> average_states([{"w": torch.ones(1)}, {"w": torch.zeros(1)}], [3, 1], ["w"])
    {'w': tensor([0.7500])}
    """
    shares = [weight / sum(weights) for weight in weights]
    mean = {}
    for name in names:
        first = states[0][name]
        summed = [share * state[name] for share, state in zip(shares, states, strict=True)]
        mean[name] = torch.stack(summed).sum(0) if first.is_floating_point() else first.clone()
    return mean


def average_bodies(bodies: Mapping[str, Body], samples: Mapping[str, int]) -> dict[str, Tensor]:
    """Average the bodies of domains. A domain's weight is its number of samples, at most 4,000.

    Examples
    --------
    >>> bodies = {"msmt17": {"w": torch.ones(1)}, "viper": {"w": torch.zeros(1)}}
    >>> average_bodies(bodies, {"msmt17": 30000, "viper": 1000})
    {'w': tensor([0.8000])}
    """
    first = next(iter(bodies.values()))
    weights = [float(min(samples[domain], MOST_SAMPLES)) for domain in bodies]
    return average_states(list(bodies.values()), weights, list(first))


def mix_bodies(target: Body, sources: Mapping[str, Body], samples: Mapping[str, int], *, share_target: float) -> Body:
    """Average the target's body and the mean of the sources' bodies; the target's body itself if there is no source.

    Parameters
    ----------
    target : mapping of str to Tensor
        The target's body.
    sources : mapping of str to mapping
        The bodies of the sources that had a turn.
    samples : mapping of str to int
        Number of labelled samples of each source.
    share_target : float
        The target's weight, 0 to 1.

    Examples
    --------
    >>> ones, zeros = {"w": torch.ones(1)}, {"w": torch.zeros(1)}
    >>> mix_bodies(ones, {"msmt17": zeros}, {"msmt17": 4000}, share_target=0.6)
    {'w': tensor([0.6000])}
    """
    if not sources:
        return target
    mean = average_bodies(sources, samples)
    return average_states([target, mean], [share_target, 1 - share_target], list(target))
