"""Settings of a committee, checked when they are made."""

from dataclasses import dataclass

from fedretina.checks import check_at_least
from fedretina.errors import BadArgument


@dataclass(frozen=True, kw_only=True)
class CommitteeOptions:
    """Settings of a committee.

    Parameters
    ----------
    k1, k2 : int, default 12, 6
        Neighbours among which a pair must be mutual, and neighbours over which neighbourhoods are averaged.
    whitening : int, default 3
        Rounds of whitening; 0 turns it off.
    shrink : float, default 0.3
        Weight of the identity matrix in the scatter matrix of whitening, above 0, at most 1.
    damping : float, default 0.3
        Damping factor of label propagation: the chance to continue at each step, above 0, below 1. The usual 0.9 labels
        worse on every data set that was tried: large, dense classes then win against the nearest class.
    share : float, default 0.8
        Fraction of the unlabelled samples that get labels, the most confident first. Above 0, at most 1.
    new_classes_below : float, default 0
        Clusters without a labelled sample become new classes if a smaller fraction of the samples than this is labelled.
        0: never. 1: always. Without any label, there are only clusters. With 10 % labels new classes cost accuracy on all
        data sets that were tried.
    share_new : float, default 0.5
        Replaces `share` where new classes are made.
    eps, min_samples : float, int, default 0.5, 3
        Parameters of DBSCAN, on the Jaccard distance.
    held_out : float, default 0.25
        Fraction of the labelled samples on which the accuracy of the votes is measured. They get votes that do not use
        their labels, which takes as long as the votes themselves. 0: the accuracy is not measured.
    min_accuracy : float, default 0.25
        Accuracy that the votes on held-out samples must reach. Otherwise the share is halved, three times at most; then
        nothing is labelled.
    dimensions : int, default 512
        Principal directions kept of each model's features, and of all together.
    seed : int, default 0
        Chooses the held-out samples.

    Raises
    ------
    BadArgument
        A value is not allowed; the message names the option, its value and the allowed values.

    Examples
    --------
    >>> CommitteeOptions(share=0.5).k1
    12
    """

    k1: int = 12
    k2: int = 6
    whitening: int = 3
    shrink: float = 0.3
    damping: float = 0.3
    share: float = 0.8
    new_classes_below: float = 0.0
    share_new: float = 0.5
    eps: float = 0.5
    min_samples: int = 3
    held_out: float = 0.25
    min_accuracy: float = 0.25
    dimensions: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        for name, smallest in (("k1", 1), ("k2", 1), ("whitening", 0), ("min_samples", 1), ("dimensions", 1), ("seed", 0)):
            check_at_least(name, getattr(self, name), smallest)
        for name in ("shrink", "share", "share_new"):
            if not 0 < getattr(self, name) <= 1:
                raise BadArgument(f"{name} = {getattr(self, name)}: a number above 0, at most 1, is allowed")
        for name in ("new_classes_below", "eps", "min_accuracy"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadArgument(f"{name} = {getattr(self, name)}: a number from 0 to 1 is allowed")
        for name, lowest in (("damping", "above 0"), ("held_out", "0 or more")):
            value = getattr(self, name)
            if not (0 < value < 1 or (value == 0 and name == "held_out")):
                raise BadArgument(f"{name} = {value}: a number {lowest}, below 1, is allowed")
