"""The results of a run, round by round."""

import math
from dataclasses import dataclass, field
from typing import Any

from flwr.app import ArrayRecord


@dataclass(frozen=True)
class RoundResult:
    """The results of one round.

    Attributes
    ----------
    round : int
        Its number, from 1.
    metrics : dict of str to float
        The target's, by name.
    alpha : dict of str to float
        By source.
    committee : dict of str to float
        The share that the committee labelled and the like, in percent.
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
class RunResult:
    """The results of a run.

    Attributes
    ----------
    rounds : list of RoundResult
        One a round.
    baselines : dict of str to dict
        Metrics of "alone", "full" and "finetune", where they were trained.
    finetuned : str
        The source that "finetune" started from.
    models : dict of str to ArrayRecord
        The last version of each domain.
    showcase : list of dict
        The task's examples of the last model at work.
    """

    rounds: list[RoundResult] = field(default_factory=list)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    finetuned: str = ""
    models: dict[str, ArrayRecord] = field(default_factory=dict)
    showcase: list[dict[str, Any]] = field(default_factory=list)
