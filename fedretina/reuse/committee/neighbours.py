"""Nearest neighbours by inner product: exact, in blocks, so that no N x N matrix is ever held."""

import numpy as np
import torch
from numpy.typing import NDArray

from fedretina.reuse.committee.unit_vectors import Floats, Whole

BLOCK = 1024


def nearest(features: Floats, count: int, *, groups: Whole | None = None) -> Whole:
    """Find every sample's nearest others.

    Parameters
    ----------
    features : ndarray of float32, shape (N, d)
        Unit vectors: the larger the inner product, the nearer.
    count : int
        Neighbours a sample; N - 1 if that is less.
    groups : ndarray of int64, shape (N,), optional
        If given, only samples of other groups count as neighbours.

    Returns
    -------
    ndarray of int64, shape (N, count)
        Indices, nearest first; -1 where there are too few samples of other groups.

    Examples
    --------
    >>> nearest(np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32), 1).tolist()
    [[1], [0], [1]]
    """
    table = torch.from_numpy(np.ascontiguousarray(features))
    place = None if groups is None else torch.from_numpy(np.ascontiguousarray(groups))
    count = min(count, len(table) - 1)
    found = np.empty((len(table), count), np.int64)
    for start in range(0, len(table), BLOCK):
        rows = torch.arange(start, min(start + BLOCK, len(table)))
        near = table[rows] @ table.T
        if place is None:
            near[torch.arange(len(rows)), rows] = -torch.inf
        else:
            near.masked_fill_(place[rows, None] == place, -torch.inf)
        values, indices = near.topk(count, dim=1)
        found[start : start + len(rows)] = indices.masked_fill(values == -torch.inf, -1).numpy()
    return found


def mutual(neighbours: Whole) -> NDArray[np.int64]:
    """List the pairs who name each other, (P, 2), the smaller index first; from what `nearest` gave.

    Examples
    --------
    >>> mutual(np.array([[1], [0], [1]])).tolist()
    [[0, 1]]
    """
    count = len(neighbours)
    rows = np.repeat(np.arange(count), neighbours.shape[1])
    columns = neighbours.ravel()
    named = columns >= 0
    forth = rows[named] * count + columns[named]
    back = columns[named] * count + rows[named]
    both = np.intersect1d(forth, back)
    pairs = np.stack(np.divmod(both, count), axis=1)
    return pairs[pairs[:, 0] < pairs[:, 1]]
