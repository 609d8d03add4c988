"""Which sources go on training with a target, and how often: one rule for strategies and studies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from fedretina.checks import check_number, check_one_of
from fedretina.errors import BadArgument
from fedretina.train.bodies import MOST_SAMPLES

CoTraining = Literal["off", "one", "turns", "all"]
TurnsBy = Literal["size", "risk", "equal"]
RISK_LIMIT, OWN_LIMIT = 2.0, 1.0
"""The defaults of `TurnRules`."""


@dataclass(frozen=True, kw_only=True)
class TurnRules:
    """Rules by which sources take part in co-training.

    Parameters
    ----------
    co_training : {"off", "one", "turns", "all"}, default "turns"
        No source, the one with the smallest R_m, one in turn, or all at once.
    by : {"size", "risk", "equal"}, default "size"
        A source's turns are in proportion to its samples, at most 4,000; to 1 / R_m; or equal for all.
    risk_limit : float, default 2.0
        The relative limit: a source takes no part if its R_m is more than this multiple of the smallest R_m; 0: no limit.
    own_limit : float, default 1.0
        The absolute limit: a source takes no part if its R_m is more than this multiple of the target's own risk, see
        `held_out_risk`; 0: no limit. Without it, the best of bad sources would always take part.

    Raises
    ------
    BadArgument
        If a value is not allowed: a relative limit below 1 would leave out every source.
    """

    co_training: CoTraining = "turns"
    by: TurnsBy = "size"
    risk_limit: float = RISK_LIMIT
    own_limit: float = OWN_LIMIT

    def __post_init__(self) -> None:
        check_one_of("co-training", self.co_training, get_args(CoTraining))
        check_one_of("turns-by", self.by, get_args(TurnsBy))
        if self.risk_limit and not self.risk_limit >= 1:
            raise BadArgument(f"risk-limit = {self.risk_limit}: 0, or a number of 1 or more, is allowed")
        check_number("own-limit", self.own_limit, positive=False)


@dataclass(frozen=True)
class TurnSources:
    """The sources that train with a target.

    Parameters
    ----------
    weights : mapping of str to float
        By source that takes part: its share of the turns, not normalised.
    left_out : mapping of str to str
        By source that takes no part: the reason.
    """

    weights: Mapping[str, float]
    left_out: Mapping[str, str]

    def __str__(self) -> str:
        """Write one line for the log."""
        names = ", ".join(self.weights) or "no source, so the target trains alone"
        return "; ".join([names, *(f"left out: {name}, {reason}" for name, reason in self.left_out.items())])


def choose_sources(
    sizes: Mapping[str, int], risks: Mapping[str, float], own_risk: float | None, rules: TurnRules
) -> TurnSources:
    """Choose the sources that train with a target.

    Parameters
    ----------
    sizes : mapping of str to int
        Number of labelled samples of each source that can take part.
    risks : mapping of str to float
        R_m of Theorem 1 by source.
    own_risk : float or None
        The target's own risk; None where it cannot be compared with R_m. Then there is no absolute limit.
    rules : TurnRules
        The rules.

    Examples
    --------
    >>> sizes, risks = {"upright": 300, "left": 300, "noise": 6000}, {"upright": 0.2, "left": 0.5, "noise": 0.9}
    >>> print(choose_sources(sizes, risks, 0.3, TurnRules()))
    upright; left out: left, R_m 0.50 > 0.30 (own risk); left out: noise, R_m 0.90 > 0.30 (own risk)
    >>> print(choose_sources(sizes, risks, 0.1, TurnRules(risk_limit=0)).weights)
    {}
    """
    if not sizes or rules.co_training == "off":
        return TurnSources({}, {})
    smallest = min(risks[source] for source in sizes)
    limits = [(rules.risk_limit * smallest, f"{rules.risk_limit:g} x the smallest")] if rules.risk_limit else []
    if rules.own_limit and own_risk is not None:
        times = "" if rules.own_limit == 1 else f"{rules.own_limit:g} x "
        limits.append((rules.own_limit * own_risk, f"{times}own risk"))
    limit, name = min(limits, default=(float("inf"), ""))
    left_out = {source: f"R_m {risks[source]:.2f} > {limit:.2f} ({name})" for source in sizes if risks[source] > limit}
    names = [source for source in sizes if source not in left_out]
    if rules.co_training == "one" and names:
        best = min(names, key=lambda source: risks[source])
        left_out |= {source: f"{best} has a smaller R_m" for source in names if source != best}
        names = [best]
    return TurnSources({source: _weight(source, sizes, risks, rules.by) for source in names}, left_out)


def _weight(source: str, sizes: Mapping[str, int], risks: Mapping[str, float], by: TurnsBy) -> float:
    if by == "size":
        return float(min(sizes[source], MOST_SAMPLES))
    return 1 / risks[source] if by == "risk" else 1.0
