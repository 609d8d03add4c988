"""Whitening: a metric in which differences within an identity weigh less than those between identities.

Pairs of one identity are guessed: they are mutual nearest neighbours across groups. Pairs of known labels are added. The
metric divides by the scatter of their differences. In this metric the next round finds better pairs.
"""

import numpy as np
from numpy.typing import NDArray

from fedretina.reuse.committee.neighbours import mutual_pairs, nearest_neighbours
from fedretina.reuse.committee.unit_vectors import Floats, Ints, normalise_rows

NEAR = 2
MOST_PER_SAMPLE = 8
BLOCK = 4096


def whiten(features: Floats, labels: Ints, groups: Ints | None = None, *, rounds: int = 3, shrink: float = 0.3) -> Floats:
    """Learn the metric in some rounds, and transform the features by it.

    Parameters
    ----------
    features : ndarray of float32, shape (N, d)
        Unit vectors.
    labels : ndarray of int64, shape (N,)
        Known classes, -1 where unknown. Pairs of different known classes are left out, pairs of one class are added.
    groups : ndarray of int64, shape (N,), optional
        Pairs are searched across groups, because the metric must reduce the differences between groups.
    rounds : int, default 3
        Number of rounds; 0 returns the features unchanged.
    shrink : float, default 0.3
        Weight of the identity matrix in the scatter matrix, 0 to 1.

    Returns
    -------
    ndarray of float32, shape (N, d)
        Unit vectors.

    Examples
    --------
    Four classes differ along the first two axes, the samples of each along the third:

    >>> corners = np.array([[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)], np.float32)
    >>> abs(whiten(normalise_rows(corners), np.repeat(np.arange(4), 2), shrink=0.1)).round(2)[0]
    array([0.7 , 0.7 , 0.13], dtype=float32)
    """
    mean, current = features.mean(0), features
    known = same_class_pairs(labels, MOST_PER_SAMPLE)
    for _ in range(rounds):
        pairs = mutual_pairs(nearest_neighbours(current, NEAR, groups=groups))
        first, second = labels[pairs].T
        pairs = np.vstack([pairs[(first < 0) | (second < 0) | (first == second)], known])
        if not len(pairs):
            return features
        current = normalise_rows((features - mean) @ _inverse_root(_scatter(features, pairs), shrink))
    return current


def same_class_pairs(labels: Ints, most: int) -> NDArray[np.int64]:
    """List pairs of samples of one class, (P, 2): all pairs, or `most` per sample if a class is large.

    Parameters
    ----------
    labels : ndarray of int64, shape (N,)
        Classes, -1 where unknown.
    most : int
        Pairs per sample in a class of more than 2 * most + 1 samples.

    Examples
    --------
    >>> same_class_pairs(np.array([4, -1, 4, 4]), 8).tolist()
    [[0, 2], [0, 3], [2, 3]]
    >>> len(same_class_pairs(np.zeros(1000, int), 8))
    8000
    """
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] >= 0]
    if not len(order):
        return np.empty((0, 2), np.int64)
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    pairs = [_pairs_within(order[start : start + count], most) for start, count in zip(starts, counts, strict=True)]
    return np.vstack(pairs)


def _pairs_within(members: Ints, most: int) -> NDArray[np.int64]:
    """Pair every member with all later ones, or, if there are many, with the next `most` in cyclic order."""
    count = len(members)
    if count - 1 <= 2 * most:
        first, second = np.triu_indices(count, 1)
        return np.stack([members[first], members[second]], axis=1)
    steps = np.arange(1, most + 1)
    second = (np.arange(count)[:, None] + steps) % count
    return np.stack([np.repeat(members, most), members[second].ravel()], axis=1)


def _scatter(features: Floats, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Average the outer products of the pairs' differences, (d, d)."""
    total = np.zeros((features.shape[1],) * 2)
    for start in range(0, len(pairs), BLOCK):
        first, second = pairs[start : start + BLOCK].T
        difference = features[first] - features[second]
        total += difference.T @ difference
    return total / len(pairs)


def _inverse_root(scatter: NDArray[np.float64], shrink: float) -> Floats:
    """Compute S^-1/2 of the scatter S, scaled to trace d and shrunk towards the identity matrix."""
    trace = np.trace(scatter)
    size = len(scatter)
    scaled = scatter * (size / trace) if trace > 0 else np.eye(size)
    values, vectors = np.linalg.eigh((1 - shrink) * scaled + shrink * np.eye(size))
    root: Floats = np.asarray((vectors / np.sqrt(np.maximum(values, 1e-6))) @ vectors.T, np.float32)
    return root
