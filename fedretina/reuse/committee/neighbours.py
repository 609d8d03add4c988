"""Exact nearest neighbours by inner product, in blocks: no N x N matrix is in memory."""

import numpy as np
import torch
from numpy.typing import NDArray

from fedretina.reuse.committee.unit_vectors import Floats, Ints

BLOCK = 1024


def nearest_neighbours(features: Floats, count: int, *, groups: Ints | None = None) -> Ints:
    """Find the nearest neighbours of every sample.

    Parameters
    ----------
    features : ndarray of float32, shape (N, d)
        Unit vectors. A larger inner product means nearer.
    count : int
        Neighbours per sample; at most N - 1 are given.
    groups : ndarray of int64, shape (N,), optional
        Only samples of other groups count as neighbours. Default: all samples count.

    Returns
    -------
    ndarray of int64, shape (N, count)
        Indices, nearest first; -1 if there are too few samples of other groups.

    Examples
    --------
    >>> nearest_neighbours(np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32), 1).tolist()
    [[1], [0], [1]]
    """
    table = torch.from_numpy(np.ascontiguousarray(features))
    group = None if groups is None else torch.from_numpy(np.ascontiguousarray(groups))
    count = min(count, len(table) - 1)
    found = np.empty((len(table), count), np.int64)
    for start in range(0, len(table), BLOCK):
        rows = torch.arange(start, min(start + BLOCK, len(table)))
        near = table[rows] @ table.T
        if group is None:
            near[torch.arange(len(rows)), rows] = -torch.inf
        else:
            near.masked_fill_(group[rows, None] == group, -torch.inf)
        values, indices = near.topk(count, dim=1)
        found[start : start + len(rows)] = indices.masked_fill(values == -torch.inf, -1).numpy()
    return found


def mutual_pairs(neighbours: Ints) -> NDArray[np.int64]:
    """List the pairs in which each is a neighbour of the other.

    Parameters
    ----------
    neighbours : ndarray of int64, shape (N, k)
        From `nearest_neighbours`.

    Returns
    -------
    ndarray of int64, shape (P, 2)
        Pairs of indices, the smaller first.

    Examples
    --------
    >>> mutual_pairs(np.array([[1], [0], [1]])).tolist()
    [[0, 1]]
    """
    count = len(neighbours)
    rows = np.repeat(np.arange(count), neighbours.shape[1])
    columns = neighbours.ravel()
    valid = columns >= 0
    forward = rows[valid] * count + columns[valid]
    backward = columns[valid] * count + rows[valid]
    both = np.intersect1d(forward, backward)
    pairs = np.stack(np.divmod(both, count), axis=1)
    return pairs[pairs[:, 0] < pairs[:, 1]]
