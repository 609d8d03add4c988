"""Re-ranking by k-reciprocal neighbours (Zhong et al., "Re-ranking ... with k-reciprocal Encoding", CVPR 2017).

It reduces the distance of photos whose neighbourhoods overlap. It uses all queries and the whole gallery at once, which is
another protocol than single queries: mention it beside the results.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from fedretina.errors import BadArgument
from fedretina.features import edge_rows, expand_neighbours, neighbour_graph, reciprocal_edges

BLOCK = 512
Floats = NDArray[np.float32]


def rerank(query: Tensor, gallery: Tensor, *, k1: int = 20, k2: int = 6, weight: float = 0.3) -> Floats:
    """Compute re-ranked distances for `evaluate`.

    Parameters
    ----------
    query, gallery : Tensor of float, shapes (Q, D) and (G, D)
        Features, compared by Euclidean distance.
    k1 : int, default 20
        Number of nearest neighbours; a pair counts as neighbours if each is among the nearest of the other.
    k2 : int, default 6
        A neighbourhood is averaged over those of the k2 nearest photos, itself included.
    weight : float, default 0.3
        Weight of the original distance, 0 to 1.

    Returns
    -------
    ndarray of float32, shape (Q, G)
        (1 - weight) times the Jaccard distance, plus weight times the squared distance; a query's largest distance is 1.

    Raises
    ------
    BadArgument
        The shapes do not fit, a feature is not finite, or a number is out of range.

    Examples
    --------
    >>> points = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
    >>> rerank(points[:1], points[1:], k1=1, k2=1).round(1).tolist()
    [[0.0, 1.0, 1.0]]
    """
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1] or not len(query) or not len(gallery):
        raise BadArgument(f"features of shape {tuple(query.shape)} and {tuple(gallery.shape)}: give (Q, D) and (G, D)")
    if k1 < 1 or k2 < 1 or not 0 <= weight <= 1:
        raise BadArgument(f"k1 = {k1}, k2 = {k2}, weight = {weight}: give k1 and k2 of 1 or more, and a weight from 0 to 1")
    space = _Space.of(torch.cat([query, gallery]).detach().float().cpu(), max(k1 + 1, k2))
    rows = _encoded(space, k1, k2)
    distances = weight * space.distances(len(query))[:, len(query) :]
    for row, shared in enumerate(_shared(rows, len(query))):
        near = shared[len(query) :]
        distances[row] += (1 - weight) * (1 - near / (2 - near))
    return distances


@dataclass(frozen=True, eq=False)
class _Space:
    """All photos: features (N, D), nearest photos of each, itself included (N, k), and largest squared distances (N,)."""

    features: Tensor
    near: NDArray[np.int64]
    farthest: Floats

    @classmethod
    def of(cls, features: Tensor, count: int) -> "_Space":
        if not features.isfinite().all():
            raise BadArgument("features have NaN or infinite values: they come from a model that diverged; give others")
        near, farthest = [], []
        for rows in torch.split(torch.arange(len(features)), BLOCK):
            squares = _squares(features[rows], features)
            near.append(squares.topk(min(count, len(features)), largest=False).indices)
            farthest.append(squares.amax(1).clamp_min(1e-12))
        return cls(features, torch.cat(near).numpy(), torch.cat(farthest).numpy())

    def distances(self, count: int) -> Floats:
        """Give the normalised squared distances of the first photos to all, (count, N)."""
        parts = [_squares(some, self.features) for some in torch.split(self.features[:count], BLOCK)]
        found: Floats = np.asarray(torch.cat(parts).numpy() / self.farthest[:count, None], np.float32)
        return found

    def between(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> Floats:
        """Give the normalised squared distances of pairs, (P,)."""
        blocks = zip(*(torch.split(torch.from_numpy(indices), BLOCK) for indices in (first, second)), strict=True)
        parts = [(self.features[one] - self.features[other]).square().sum(1) for one, other in blocks]
        found: Floats = np.asarray(torch.cat(parts).numpy() / self.farthest[first], np.float32)
        return found


def _squares(some: Tensor, every: Tensor) -> Tensor:
    norms = some.square().sum(1, keepdim=True) + every.square().sum(1)
    return torch.addmm(norms, some, every.T, alpha=-2).clamp_min_(0)


def _encoded(space: _Space, k1: int, k2: int) -> csr_matrix:
    """Encode every photo as a row: the weights of its neighbours, with sum 1."""
    wide = reciprocal_edges(neighbour_graph(space.near[:, : k1 + 1]))
    narrow = reciprocal_edges(neighbour_graph(space.near[:, : round(k1 / 2) + 1]))
    graph = expand_neighbours(wide, narrow)
    rows = edge_rows(graph)
    weights = np.exp(-space.between(rows, graph.indices.astype(np.int64)))
    sums = np.bincount(rows, weights, minlength=graph.shape[0])
    encoded = csr_matrix(((weights / sums[rows]).astype(np.float32), graph.indices, graph.indptr), shape=graph.shape)
    nearest = space.near[:, :k2]
    averaged: csr_matrix = ((neighbour_graph(nearest) @ encoded) / nearest.shape[1]).tocsr()
    return averaged


def _shared(rows: csr_matrix, count: int) -> Iterator[Floats]:
    """For each of the first `count` rows a, sum min(a_k, b_k) over k for all rows b: (N,) each."""
    columns = rows.tocsc()
    for row in range(count):
        total = np.zeros(rows.shape[0], np.float32)
        entries = slice(rows.indptr[row], rows.indptr[row + 1])
        for column, value in zip(rows.indices[entries], rows.data[entries], strict=True):
            part = slice(columns.indptr[column], columns.indptr[column + 1])
            total[columns.indices[part]] += np.minimum(columns.data[part], value)
        yield total
