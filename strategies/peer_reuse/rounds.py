"""The result of a round, out of the metrics that a target reports."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from fedretina.errors import FedRetinaError
from fedretina.strategies.peer_reuse.results import RoundResult, TargetResult
from fedretina.train import source_risks

Scores = Mapping[str, Mapping[str, Sequence[float]]]
"""By target and source: the source's scores at the target in the rounds before."""


def scores_before(sources: Iterable[str], result: TargetResult) -> dict[str, list[float]]:
    """Collect each source's scores at a target in the rounds before; a source that is new has none."""
    rounds = result.rounds
    return {source: [entry.peers[source]["score"] for entry in rounds if source in entry.peers] for source in sources}


def round_result(
    number: int,
    metrics: Mapping[str, float],
    before: Mapping[str, Sequence[float]],
    alpha: Literal["learned", "bound", "uniform"],
) -> RoundResult:
    """Sort the metrics that a target reports after a round.

    Parameters
    ----------
    number : int
        The round.
    metrics : mapping of str to float
        By name: the target's own metrics, ``alpha.<source>``, ``peer.<source>`` and ``committee.<metric>``.
    before : mapping of str to sequence of float
        By source: its scores in the rounds before.
    alpha : {"learned", "bound", "uniform"}
        See `ReuseConfig`.

    Raises
    ------
    FedRetinaError
        If the metrics of a source are missing.

    Examples
    --------
    >>> metrics = {"mAP": 60.0, "alpha.msmt17": 1.0, "peer.msmt17": 75.0, "committee.share": 80.0}
    >>> entry = round_result(1, metrics, {"msmt17": []}, "learned")
    >>> entry.metrics, entry.alpha, entry.peers, entry.committee
    ({'mAP': 60.0}, {'msmt17': 1.0}, {'msmt17': {'score': 75.0, 'risk': 0.25}}, {'share': 80.0})
    """
    weights, scores, committee = (_with_prefix(metrics, prefix) for prefix in ("alpha.", "peer.", "committee."))
    if missing := [source for source in before if source not in weights or source not in scores]:
        raise FedRetinaError(
            f"round {number}: a target reported no alpha or score of {', '.join(missing)}; "
            "install the same release of fedretina on the server and on every node"
        )
    risks = source_risks({source: [*past, scores[source]] for source, past in before.items()}, alpha)
    own = {name: value for name, value in metrics.items() if not name.startswith(("alpha.", "peer.", "committee."))}
    peers = {source: {"score": scores[source], "risk": risks[source]} for source in before}
    return RoundResult(number, own, {source: weights[source] for source in before}, committee, peers)


def _with_prefix(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
