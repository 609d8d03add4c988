"""R_m of Theorem 1: the risk of each source in the target domain, from its scores on the target's labels."""

from collections.abc import Mapping, Sequence

from fedretina.features import running_mean
from fedretina.reuse import AlphaMode

SMALLEST_RISK = 0.01
"""A risk is never smaller, so that 1 / R_m exists."""


def risk_from_score(score: float) -> float:
    """Compute R_m of Theorem 1 from a score in percent: one minus the score, at least 0.01.

    Examples
    --------
    >>> risk_from_score(75.0), risk_from_score(100.0)
    (0.25, 0.01)
    """
    return max(SMALLEST_RISK, 1 - score / 100)


def source_risks(scores: Mapping[str, Sequence[float]], alpha: AlphaMode) -> dict[str, float]:
    """Compute R_m of each source from its scores.

    With ``alpha="bound"`` the risks are averaged over the rounds: with few labels one measurement is uncertain. Otherwise
    only this round's score is used.

    Parameters
    ----------
    scores : mapping of str to sequence of float
        Scores of each source in percent, one per round that reused it; the last is this round's.
    alpha : {"learned", "bound", "uniform"}
        How the weights of the sources are found.

    Returns
    -------
    dict of str to float
        R_m > 0 by source.

    Examples
    --------
    >>> source_risks({"cuhk03": [50.0, 75.0]}, "bound")
    {'cuhk03': 0.375}
    """
    if alpha == "bound":
        return {source: running_mean([risk_from_score(score) for score in series]) for source, series in scores.items()}
    return {source: risk_from_score(series[-1]) for source, series in scores.items()}
