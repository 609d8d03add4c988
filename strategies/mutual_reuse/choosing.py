"""The server's choice of peers: what it has learnt of each pair of domains, and a policy under a budget."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fedretina.checks import check_one_of
from fedretina.errors import BadArgument
from fedretina.flower import PayloadRelay
from fedretina.strategies.mutual_reuse.turns import Turn
from fedretina.strategies.selection import POLICIES, Budget, Evidence, choose, sketch_distances

_log = logging.getLogger("fedretina.strategies")
TrueGains = Callable[[str, Mapping[str, str]], Mapping[str, float]]
"""Takes a target and the digests of its candidates' versions, returns the true gain of each; a simulation may know it."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """How a target's peers are chosen.

    Parameters
    ----------
    policy : {"all", "random", "nearest", "score", "bound", "oracle"}, default "nearest"
        See `fedretina.strategies.selection`.
    budget : int or None, default None
        Bytes of payload that a target gets in a turn; None for no limit.
    true_gains : callable, optional
        For "oracle".

    Raises
    ------
    BadArgument
        If the policy is unknown, if the budget is below 1, or if "oracle" has no `true_gains`.

    Examples
    --------
    >>> Selection(policy="random", budget=20_000).budget
    20000
    """

    policy: str = "nearest"
    budget: int | None = None
    true_gains: TrueGains | None = None

    def __post_init__(self) -> None:
        check_one_of("policy", self.policy, tuple(POLICIES))
        Budget(transfer_bytes=self.budget)
        if self.policy == "oracle" and self.true_gains is None:
            raise BadArgument("policy = 'oracle' needs true_gains, which only a simulation has; take another policy")


@dataclass
class _Learnt:
    """What a target's turns have told of its peers, by peer."""

    risks: dict[str, list[float]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    not_before: dict[str, int] = field(default_factory=dict)  # the first version that is asked for after a refusal


class PeerChoice:
    """Chooses peers for each turn.

    Parameters
    ----------
    domains : sequence of str
        All domains.
    selection : Selection
        The policy and the budget.
    seed : int
        Seed of the policies' random numbers.
    """

    def __init__(self, domains: Sequence[str], selection: Selection, *, seed: int) -> None:
        self.domains, self.selection, self.seed = tuple(domains), selection, seed
        self.sketches: dict[str, np.ndarray] = {}
        self._index = {name: index for index, name in enumerate(self.domains)}
        self._distances = np.full((len(self.domains), len(self.domains)), np.nan)
        self._learnt = {name: _Learnt() for name in self.domains}
        self._warned = False

    def add_sketch(self, domain: str, sketch: np.ndarray) -> None:
        """Keep a domain's sketch, and its distances from those that are known: each pair is computed once."""
        others = [name for name in self.sketches if name != domain]
        self.sketches[domain] = sketch
        if others:
            row, columns = self._index[domain], [self._index[name] for name in others]
            found = sketch_distances(sketch, [self.sketches[name] for name in others])
            self._distances[row, columns] = self._distances[columns, row] = found

    def learn(self, turn: Turn) -> None:
        """Keep the risks and scores that a turn has measured, and which versions were refused.

        A peer whose version was refused is left out until it has published two more; after the second refusal four, and so
        on. Or the nearest peer would be asked for again in every turn, although nothing can be learnt from it.
        """
        learnt = self._learnt[turn.domain]
        for peer in turn.refused:
            learnt.refusals[peer] = learnt.refusals.get(peer, 0) + 1
            learnt.not_before[peer] = turn.versions[peer] + 2 ** learnt.refusals[peer]
        for peer, risk in turn.risks.items():
            learnt.risks.setdefault(peer, []).append(risk)
        learnt.scores.update(turn.scores)

    def choose(self, domain: str, relay: PayloadRelay, turn_number: int) -> list[str]:
        """Choose the peers of a domain's next turn among those that have published, the best first."""
        published, not_before = set(relay.streams), self._learnt[domain].not_before
        candidates = [
            name
            for name in self.domains
            if name != domain and name in published and relay.version(name) >= not_before.get(name, 0)
        ]
        gains: Mapping[str, float] = {}
        if self.selection.policy == "oracle" and self.selection.true_gains is not None:
            gains = self.selection.true_gains(domain, {name: relay.newest(name) for name in candidates})
        learnt, distances = self._learnt[domain], self._distances[self._index[domain]]
        evidence = {
            name: Evidence(
                transfer_bytes=relay.cost(domain, name),
                distance=float(distances[self._index[name]]),
                score=learnt.scores.get(name),
                risks=tuple(learnt.risks.get(name, ())),
                gain=gains.get(name),
            )
            for name in candidates
        }
        limits, policy = Budget(transfer_bytes=self.selection.budget), self.selection.policy
        chosen = choose(domain, candidates, evidence, limits, policy=policy, seed=self.seed, round_number=turn_number)
        if candidates and not chosen and not self._warned:
            self._warned = True
            least = min(each.transfer_bytes for each in evidence.values())
            _log.warning(
                "%s learns from nobody: its budget is %d bytes, the smallest version takes %d; give a larger budget",
                domain,
                self.selection.budget,
                least,
            )
        return chosen
