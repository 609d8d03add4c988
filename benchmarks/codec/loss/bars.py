"""The bars by loss: what was promised, and what was measured; the bars were set on other vectors of the same kinds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codec.bars import Bar
from codec.loss.federated import Training
from codec.loss.sweep import Judged, LossPoint
from codec.rates import at_error

THRESHOLDS = (0.01, 0.05)
# vector, share lost at most: bits per weight at most.
_LOST = {
    ("gpt5m-up40", 0.01): 0.75,
    ("gpt5m-up40", 0.05): 0.28,
    ("gpt5m-up200", 0.01): 0.75,
    ("vit", 0.01): 0.6,
}
_ERROR = 0.25
_AT_ERROR = {"gpt5m-up40": 0.15, "vit": 0.7}


@dataclass(frozen=True)
class Need:
    """The fewest bits of ours and of a peer's at which at most so much is lost; None where no setting is that good."""

    threshold: float
    ours: LossPoint | None
    peer: LossPoint | None


def needs(judged: Judged) -> list[Need]:
    """Return the fewest bits at each threshold, over all settings that were measured."""
    return [
        Need(threshold, *(_fewest(judged.points, threshold, ours=ours) for ours in (True, False)))
        for threshold in THRESHOLDS
    ]


def bars(vectors: Sequence[Judged], trained: Sequence[Training]) -> list[Bar]:
    """Return all bars whose vectors were measured."""
    return [*(bar for judged in vectors for bar in _vector_bars(judged)), *_federated_bars(trained)]


def _fewest(points: Sequence[LossPoint], threshold: float, *, ours: bool) -> LossPoint | None:
    good = [point for point in points if point.is_ours == ours and point.lost <= threshold]
    return min(good, key=lambda point: point.bpw, default=None)


def _vector_bars(judged: Judged) -> Iterator[Bar]:
    for need in needs(judged):
        limit = _LOST.get((judged.name, need.threshold))
        if limit is not None:
            value = need.ours.bpw if need.ours else float("inf")
            what = f"at most {100 * need.threshold:g} % of the improvement lost: bpw"
            yield Bar(what, judged.name, f"≤ {limit:g}", f"{value:.3f}", value <= limit)
    limit = _AT_ERROR.get(judged.name)
    found = [at_error(curve, _ERROR) for curve in _our_curves(judged.points)]
    values = [bpw for bpw in found if bpw is not None]
    if limit is not None and values:
        yield Bar(f"error {_ERROR:g}: bpw", judged.name, f"≤ {limit:g}", f"{min(values):.3f}", min(values) <= limit)


def _our_curves(points: Sequence[LossPoint]) -> list[list[LossPoint]]:
    families = sorted({point.family for point in points if point.is_ours})
    return [[point for point in points if point.family == family] for family in families]


def _federated_bars(trained: Sequence[Training]) -> Iterator[Bar]:
    by_name = {run.channel: run for run in trained}
    ours = [run for run in trained if run.channel.startswith("DoM")]
    sparse = [run for run in trained if run.channel.startswith("SparseLoCo") and run.bpw <= 0.32]
    coarse = [run for run in ours if run.bpw <= 0.085]
    if coarse and sparse:
        best, rival = min(run.losses[-1] for run in coarse), min(run.losses[-1] for run in sparse)
        what = "at most .085 bpw: last loss (SparseLoCo's best at most at .32 bpw)"
        yield Bar(what, "federated GPT", f"< {rival:.4f}", f"{best:.4f}", best < rival)
    fine = [run for run in ours if run.bpw <= 0.26]
    if fine and "none" in by_name:
        best, limit = min(run.losses[-1] for run in fine), by_name["none"].losses[-1] + 0.01
        yield Bar(
            "at most .26 bpw: last loss (uncoded plus .01)", "federated GPT", f"≤ {limit:.4f}", f"{best:.4f}", best <= limit
        )
