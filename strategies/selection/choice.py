"""The choice of a target's peers: a policy ranks them, a budget ends the list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedretina.checks import check_one_of
from fedretina.errors import BadArgument
from fedretina.strategies.selection.evidence import Evidence
from fedretina.strategies.selection.policies import POLICIES


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a target may get in one round.

    Parameters
    ----------
    transfer_bytes : int or None, default None
        The most bytes of all payloads together; None is no limit.
    peers : int or None, default None
        The most peers; None is no limit.

    Raises
    ------
    BadArgument
        If a limit is below 1.
    """

    transfer_bytes: int | None = None
    peers: int | None = None

    def __post_init__(self) -> None:
        for name, limit in (("transfer_bytes", self.transfer_bytes), ("peers", self.peers)):
            if limit is not None and limit < 1:
                raise BadArgument(f"{name} = {limit}: give 1 or more, or None for no limit")


def choose(
    target: str,
    candidates: Sequence[str],
    evidence: Mapping[str, Evidence],
    budget: Budget,
    *,
    policy: str = "score",
    seed: int = 0,
    round_number: int = 0,
) -> list[str]:
    """Choose the peers whose models a target gets in a round.

    Parameters
    ----------
    target : str
        The target; it is never its own peer.
    candidates : sequence of str
        The domains that have published a model.
    evidence : mapping of str to Evidence
        What is known, by candidate; nothing is known of those that are missing.
    budget : Budget
        The limits. A candidate whose payload does not fit any more is passed over for the next one that does.
    policy : {"all", "random", "nearest", "score", "bound", "oracle"}, default "score"
        How candidates are ranked.
    seed, round_number : int, default 0
        Random numbers follow from these and the target's name alone, so that the choice is the same on every machine.

    Returns
    -------
    list of str
        The peers, the best first.

    Raises
    ------
    BadArgument
        If the policy is unknown.

    Examples
    --------
    >>> known = {"a": Evidence(score=0.1, transfer_bytes=10), "b": Evidence(score=0.9, transfer_bytes=90)}
    >>> choose("t", ["a", "b", "t"], known, Budget(peers=1))
    ['b']
    >>> choose("t", ["a", "b", "t"], known, Budget(transfer_bytes=50))
    ['a']
    """
    check_one_of("policy", policy, tuple(POLICIES))
    names = [name for name in dict.fromkeys(candidates) if name != target]
    known = {name: evidence.get(name, Evidence()) for name in names}
    ranked = POLICIES[policy](names, known, _generator(target, seed, round_number))
    return _within(ranked, known, budget)


def _within(ranked: Sequence[str], evidence: Mapping[str, Evidence], budget: Budget) -> list[str]:
    chosen, left = list[str](), budget.transfer_bytes
    for name in ranked:
        if budget.peers is not None and len(chosen) == budget.peers:
            break
        cost = evidence[name].transfer_bytes
        if left is None or cost <= left:
            chosen.append(name)
            left = None if left is None else left - cost
    return chosen


def _generator(target: str, seed: int, round_number: int) -> np.random.Generator:
    return np.random.default_rng([seed, round_number, *target.encode()])
