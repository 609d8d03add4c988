"""R_m of Theorem 1: the risk of each source in the target domain, from its scores on the target's labels."""

from collections.abc import Mapping, Sequence

from fedretina.features import running_mean
from fedretina.reuse.alpha import AlphaMode

SMALLEST_RISK = 0.01


def risk_of(score: float) -> float:
    """Give R_m of Theorem 1 for a score in percent: one minus it, but never 0, so that 1 / R_m exists.

    Examples
    --------
    >>> risk_of(75.0), risk_of(100.0)
    (0.25, 0.01)
    """
    return max(SMALLEST_RISK, 1 - score / 100)


def risks_over(scores: Mapping[str, Sequence[float]], alpha: AlphaMode) -> dict[str, float]:
    """Give R_m of each source from its scores, one for each round that reused it; this round's is the last.

    With ``alpha="bound"`` the risks are averaged over the rounds: few labels make one measurement uncertain. Otherwise
    they are this round's.

    Examples
    --------
    >>> risks_over({"cuhk03": [50.0, 75.0]}, "bound")
    {'cuhk03': 0.375}
    """
    if alpha == "bound":
        return {source: running_mean([risk_of(score) for score in series]) for source, series in scores.items()}
    return {source: risk_of(series[-1]) for source, series in scores.items()}
