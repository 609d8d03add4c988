"""What a committee may be told, checked once."""

from dataclasses import dataclass
from numbers import Integral

from fedretina.errors import BadArgument


@dataclass(frozen=True, kw_only=True)
class CommitteeOptions:
    """How a committee labels.

    Parameters
    ----------
    k1, k2 : int, default 12, 6
        Neighbours that must name each other, and neighbours whose neighbourhoods are averaged.
    whitening : int, default 3
        Rounds of whitening; 0 turns it off.
    shrink : float, default 0.3
        How much of the identity matrix is mixed into the scatter of whitening, above 0, at most 1.
    walk : float, default 0.3
        Chance of label propagation to go on at each step, above 0, below 1. A long walk (0.9 is usual) ends in the classes
        that dense neighbourhoods spread, not in the nearest: it labels worse on every data set that was tried.
    share : float, default 0.8
        The most confident part of the unlabelled samples that gets labels, above 0, at most 1.
    new_below : float, default 0.2
        Where a smaller part of the samples than this is labelled, clusters without a labelled sample become new
        classes. 0: never, as where all classes are known. 1: always. Without any label, there are clusters only.
    share_new : float, default 0.5
        Takes the place of `share` where new classes are made.
    eps, least : float, int, default 0.5, 3
        DBSCAN's, on the Jaccard distance.
    held_out : float, default 0.25
        Part of the labelled samples on which the accuracy of the votes is measured, by a vote that does not see their
        labels; it takes as long as the vote that counts, which sees all labels. 0: none.
    trust : float, default 0.25
        Accuracy on those that the labels must reach. While they don't, the share is halved, and at last
        nothing is labelled.
    dimensions : int, default 512
        Directions kept of each model's features, and of all together.
    seed : int, default 0
        Chooses the samples held out.

    Raises
    ------
    BadArgument
        Naming the option, its value and what is allowed.

    Examples
    --------
    >>> CommitteeOptions(share=0.5).k1
    12
    """

    k1: int = 12
    k2: int = 6
    whitening: int = 3
    shrink: float = 0.3
    walk: float = 0.3
    share: float = 0.8
    new_below: float = 0.2
    share_new: float = 0.5
    eps: float = 0.5
    least: int = 3
    held_out: float = 0.25
    trust: float = 0.25
    dimensions: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        for name, smallest in (("k1", 1), ("k2", 1), ("whitening", 0), ("least", 1), ("dimensions", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < smallest:
                raise BadArgument(f"{name} = {getattr(self, name)}: an integer of {smallest} or more is allowed")
        for name in ("shrink", "share", "share_new"):
            if not 0 < getattr(self, name) <= 1:
                raise BadArgument(f"{name} = {getattr(self, name)}: a number above 0, at most 1, is allowed")
        for name in ("new_below", "eps", "trust"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadArgument(f"{name} = {getattr(self, name)}: a number from 0 to 1 is allowed")
        for name, lowest in (("walk", "above 0"), ("held_out", "0 or more")):
            value = getattr(self, name)
            if not (0 < value < 1 or (value == 0 and name == "held_out")):
                raise BadArgument(f"{name} = {value}: a number {lowest}, below 1, is allowed")
