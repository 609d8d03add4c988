"""The results of a run: by target, and round by round."""

import math
from dataclasses import dataclass, field
from typing import Any

from flwr.app import ArrayRecord

BASELINES = ("alone", "full", "finetune")
"""What a target is compared with: itself without peers, with all labels, and the best source, fine-tuned."""


@dataclass(frozen=True)
class RoundResult:
    """The results of one target in one round.

    Attributes
    ----------
    round : int
        The round's number, from 1.
    metrics : dict of str to float
        The target's metrics, by name.
    alpha : dict of str to float
        The weights of the sources.
    committee : dict of str to float
        What the committee did: the share that it labelled and its accuracy in percent, and the number of new classes.
    peers : dict of str to dict
        By source: "score", the task's metric in percent on the target's labelled samples, and "risk", its R_m.
    """

    round: int
    metrics: dict[str, float]
    alpha: dict[str, float]
    committee: dict[str, float] = field(default_factory=dict)
    peers: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def bound(self) -> float | None:
        """Theorem 1's bound without its constants, sum_m alpha_m^2 R_m; None in a run that did not record R_m.

        Examples
        --------
        >>> RoundResult(1, {}, {"duke": 0.5, "cuhk03": 0.5}, peers={"duke": {"risk": 0.25}, "cuhk03": {"risk": 0.75}}).bound
        0.25
        """
        if not self.peers:
            return None
        return math.fsum(weight**2 * self.peers[source]["risk"] for source, weight in self.alpha.items())


@dataclass
class TargetResult:
    """The results of one target.

    Attributes
    ----------
    rounds : list of RoundResult
        One for each finished round.
    baselines : dict of str to dict
        Metrics by name of `BASELINES`, where they were trained.
    finetuned : str
        The source that "finetune" started from.
    showcase : list of dict
        What `fedretina.task.Task.showcase` gives for the last model.
    """

    rounds: list[RoundResult] = field(default_factory=list)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    finetuned: str = ""
    showcase: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class RunResult:
    """The results of a run.

    Attributes
    ----------
    targets : dict of str to TargetResult
        By target.
    models : dict of str to ArrayRecord
        The last version of each stream: a source's is named as its domain, a target's as `Topology.stream_of` says.

    Examples
    --------
    >>> RunResult().last_round
    0
    """

    targets: dict[str, TargetResult] = field(default_factory=dict)
    models: dict[str, ArrayRecord] = field(default_factory=dict)

    @property
    def last_round(self) -> int:
        """The last round that every target has finished; 0 before the first."""
        return min((len(result.rounds) for result in self.targets.values()), default=0)
