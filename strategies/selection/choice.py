"""The choice of a target's peers: policies rank the candidates, and the budget cuts the ranking."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Literal

import numpy as np

from fedretina.checks import check_one_of
from fedretina.errors import BadArgument
from fedretina.strategies.selection.sketch import Sketch, nearest_first

Policy = Literal["all", "random", "nearest", "score", "bound", "oracle"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known when a target's peers are chosen.

    Parameters
    ----------
    sizes : mapping of str to int
        By candidate: the bytes that its newest version costs this target now.
    sketches : mapping of str to Sketch
        By domain, the target included.
    scores : mapping of str to sequence of float
        By candidate that was tried: LogME in each of the rounds.
    risks : mapping of str to sequence of float
        By candidate that was tried: R_m of Theorem 1 in each of the rounds.
    gains : mapping of str to float
        By candidate: the true gain; only "oracle" reads it.
    seed : int
        Seed of this choice; only "random" reads it.
    """

    sizes: Mapping[str, int]
    sketches: Mapping[str, Sketch] = field(default_factory=dict)
    scores: Mapping[str, Sequence[float]] = field(default_factory=dict)
    risks: Mapping[str, Sequence[float]] = field(default_factory=dict)
    gains: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0


def choose(
    target: str, candidates: Sequence[str], evidence: Evidence, budget: int | None, *, policy: Policy = "nearest"
) -> list[str]:
    """Choose a target's peers: the first candidates of the ranking that fit into the budget.

    A candidate that is too large for what is left is passed over, and smaller ones behind it may still fit.

    Parameters
    ----------
    target : str
        The domain that trains.
    candidates : sequence of str
        Other domains that have published a model.
    evidence : Evidence
        What is known of them.
    budget : int or None
        Bytes for this target and round; None for no limit.
    policy : {"all", "random", "nearest", "score", "bound", "oracle"}, default "nearest"
        See `fedretina.strategies.selection`.

    Returns
    -------
    list of str
        The peers, best first; empty if none fits.

    Raises
    ------
    BadArgument
        If the policy is unknown, the budget is negative, or a size or a gain that is needed is missing.

    Examples
    --------
    >>> evidence = Evidence(sizes={"mill": 600, "port": 300, "park": 500}, gains={"mill": 3.0, "port": 1.0, "park": 2.0})
    >>> choose("dock", ["mill", "port", "park"], evidence, 1000, policy="oracle")
    ['mill', 'port']
    """
    if budget is not None and budget < 0:
        raise BadArgument(f"the budget of {target!r} is {budget} bytes: give 0 or more, or None for no limit")
    if missing := [name for name in candidates if name not in evidence.sizes]:
        raise BadArgument(f"the sizes of {', '.join(missing)} are missing: give what each candidate costs {target!r}")
    peers, left = [], float("inf") if budget is None else budget
    for name in rank(target, candidates, evidence, policy=policy):
        if evidence.sizes[name] <= left:
            peers.append(name)
            left -= evidence.sizes[name]
    return peers


def rank(target: str, candidates: Sequence[str], evidence: Evidence, *, policy: Policy) -> list[str]:
    """Sort candidates by a policy, best first; arguments and errors are those of `choose`.

    Examples
    --------
    >>> rank("dock", ["mill", "port"], Evidence(sizes={}, risks={"mill": [0.5], "port": [0.2, 0.4]}), policy="bound")
    ['port', 'mill']
    """
    check_one_of("policy", policy, POLICIES)
    return _RANKINGS[policy](target, candidates, evidence)


def _given(target: str, candidates: Sequence[str], evidence: Evidence) -> list[str]:
    return list(candidates)


def _random(target: str, candidates: Sequence[str], evidence: Evidence) -> list[str]:
    order = np.random.default_rng(evidence.seed).permutation(len(candidates))
    return [candidates[index] for index in order]


def _nearest(target: str, candidates: Sequence[str], evidence: Evidence) -> list[str]:
    return nearest_first(target, candidates, dict(evidence.sketches))


def _score(target: str, candidates: Sequence[str], evidence: Evidence) -> list[str]:
    return _alternate(target, candidates, evidence, {name: -_mean(found) for name, found in evidence.scores.items()})


def _bound(target: str, candidates: Sequence[str], evidence: Evidence) -> list[str]:
    return _alternate(target, candidates, evidence, {name: _mean(found) for name, found in evidence.risks.items()})


def _oracle(target: str, candidates: Sequence[str], evidence: Evidence) -> list[str]:
    if missing := [name for name in candidates if name not in evidence.gains]:
        raise BadArgument(
            f"policy = 'oracle': the true gains of {', '.join(missing)} for {target!r} are missing: only a simulation has "
            "them; take another policy"
        )
    return sorted(candidates, key=lambda name: -evidence.gains[name])


def _alternate(target: str, candidates: Sequence[str], evidence: Evidence, costs: Mapping[str, float]) -> list[str]:
    """Alternate between exploitation (the cheapest of those tried) and exploration (the nearest of those untried)."""
    tried = sorted((name for name in candidates if name in costs), key=lambda name: costs[name])
    untried = nearest_first(target, [name for name in candidates if name not in costs], dict(evidence.sketches))
    return [name for name in chain.from_iterable(zip_longest(tried, untried)) if name is not None]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


_RANKINGS: dict[Policy, Callable[[str, Sequence[str], Evidence], list[str]]] = {
    "all": _given,
    "random": _random,
    "nearest": _nearest,
    "score": _score,
    "bound": _bound,
    "oracle": _oracle,
}
POLICIES: tuple[Policy, ...] = tuple(_RANKINGS)
"""The names of all policies."""
