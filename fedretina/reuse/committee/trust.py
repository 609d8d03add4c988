"""Which votes are believed: as many as were right on labelled samples whose labels the committee did not see."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedretina.reuse.committee.unit_vectors import Floats, Whole

ENOUGH = 10
HALVINGS = 3


class Check(NamedTuple):
    """Votes on samples held out: the confidence of each, and whether it was right; both of shape (n,)."""

    confidence: Floats
    right: NDArray[np.bool_]


def hidden(labels: Whole, part: float, *, seed: int = 0) -> Whole:
    """Choose labelled samples to hold out; each class keeps one at least.

    Parameters
    ----------
    labels : ndarray of int64, shape (N,)
        Classes, -1 where unknown.
    part : float
        Of the labelled samples, below 1.
    seed : int, default 0
        Equal seeds choose equally.

    Returns
    -------
    ndarray of int64, shape (n,)
        Indices, ascending; none if fewer than ten can be held out: too few to judge by.

    Examples
    --------
    >>> chosen = hidden(np.repeat(np.arange(10), 5), 0.4)
    >>> len(chosen), len(hidden(np.arange(50), 0.4))
    (20, 0)
    """
    labelled = np.flatnonzero(labels >= 0)
    order = np.random.default_rng(seed).permutation(labelled)
    keeps = np.unique(labels[order], return_index=True)[1]
    chosen = np.delete(order, keeps)[: round(part * len(order))]
    return np.sort(chosen if len(chosen) >= ENOUGH else chosen[:0])


def trusted_share(check: Check | None, share: float, trust: float) -> tuple[float, float | None]:
    """Give the share of the votes to believe, at most `share`, and the accuracy of such a share where it was checked.

    While the most confident share is right less often than `trust`, the share is halved; after three times it is 0.
    A share of fewer than ten votes is judged by the ten most confident: one that happens to be right is no evidence.

    Examples
    --------
    >>> check = Check(np.arange(20, dtype=np.float32), np.arange(20) > 9)
    >>> trusted_share(check, 0.8, 0.9)
    (0.4, 1.0)
    >>> trusted_share(None, 0.8, 0.9)
    (0.8, None)
    """
    if check is None:
        return share, None
    order = np.argsort(-check.confidence, kind="stable")
    for _ in range(HALVINGS + 1):
        accuracy = float(check.right[order[: max(ENOUGH, round(share * len(order)))]].mean())
        if accuracy >= trust:
            return share, accuracy
        share /= 2
    return 0.0, accuracy
