"""How many votes to use: it depends on their accuracy on held-out labelled samples."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedretina.reuse.committee.unit_vectors import Floats, Ints

MIN_VOTES = 10
HALVINGS = 3


class HeldOutVotes(NamedTuple):
    """Votes on held-out samples: the confidence of each, (n,), and whether it was right, (n,)."""

    confidence: Floats
    right: NDArray[np.bool_]


def choose_held_out(labels: Ints, part: float, *, seed: int = 0) -> Ints:
    """Choose labelled samples to hold out. At least one sample of each class is not held out.

    Parameters
    ----------
    labels : ndarray of int64, shape (N,)
        Classes, -1 where unknown.
    part : float
        Fraction of the labelled samples, below 1.
    seed : int, default 0
        Equal seeds give equal choices.

    Returns
    -------
    ndarray of int64, shape (n,)
        Indices, ascending. Empty if fewer than ten can be held out: these are too few to measure an accuracy.

    Examples
    --------
    >>> chosen = choose_held_out(np.repeat(np.arange(10), 5), 0.4)
    >>> len(chosen), len(choose_held_out(np.arange(50), 0.4))
    (20, 0)
    """
    labelled = np.flatnonzero(labels >= 0)
    order = np.random.default_rng(seed).permutation(labelled)
    first_of_class = np.unique(labels[order], return_index=True)[1]
    chosen = np.delete(order, first_of_class)[: round(part * len(order))]
    return np.sort(chosen if len(chosen) >= MIN_VOTES else chosen[:0])


def trusted_share(votes: HeldOutVotes | None, share: float, min_accuracy: float) -> tuple[float, float | None]:
    """Compute the share of the votes to use, at most `share`, and its accuracy on the held-out samples.

    If the most confident share has a lower accuracy than `min_accuracy`, it is halved; after three halvings it is 0. The
    accuracy is measured on ten votes or more: fewer could be right by chance.

    Parameters
    ----------
    votes : HeldOutVotes or None
        None: nothing was held out, so the share is not reduced and the accuracy is None.
    share : float
        The largest share, 0 to 1.
    min_accuracy : float
        0 to 1.

    Examples
    --------
    >>> votes = HeldOutVotes(np.arange(20, dtype=np.float32), np.arange(20) > 9)
    >>> trusted_share(votes, 0.8, 0.9)
    (0.4, 1.0)
    >>> trusted_share(None, 0.8, 0.9)
    (0.8, None)
    """
    if votes is None:
        return share, None
    order = np.argsort(-votes.confidence, kind="stable")
    for _ in range(HALVINGS + 1):
        accuracy = float(votes.right[order[: max(MIN_VOTES, round(share * len(order)))]].mean())
        if accuracy >= min_accuracy:
            return share, accuracy
        share /= 2
    return 0.0, accuracy
