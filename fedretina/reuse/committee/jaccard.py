"""Jaccard similarity of neighbourhoods, as a sparse matrix: most pairs have no neighbour in common.

Source: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, identity

from fedretina.features import edge_rows, expand_neighbours, neighbour_graph, reciprocal_edges
from fedretina.reuse.committee.neighbours import nearest_neighbours
from fedretina.reuse.committee.unit_vectors import Floats, Ints

TRIPLES = 4_000_000
"""Products that are in memory at one time."""

MIN_SHARED = 0.04
"""Smaller overlaps are dropped: with them propagation is ten times slower, and not better on noisy features."""


def jaccard_similarity(features: Floats, *, k1: int = 12, k2: int = 6) -> csr_matrix:
    """Compute 1 - J, where J is the Jaccard distance of k-reciprocal neighbourhoods.

    Parameters
    ----------
    features : ndarray of float32, shape (N, d)
        Unit vectors.
    k1 : int, default 12
        A pair counts as neighbours if each is among the k1 nearest of the other.
    k2 : int, default 6
        A neighbourhood is averaged over those of the k2 nearest samples, itself included; 1 turns averaging off.

    Returns
    -------
    csr_matrix of float32, shape (N, N)
        Symmetric, 0 to 1. The diagonal is empty, and so are entries with an overlap of less than 0.04.

    Examples
    --------
    >>> points = np.array([[1, 0], [0.99, 0.14], [0, 1], [0.14, 0.99]], np.float32)
    >>> jaccard_similarity(points, k1=1, k2=1).toarray().round(1).tolist()
    [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]
    """
    near = nearest_neighbours(features, max(k1, k2 - 1))
    wide, narrow = reciprocal_edges(_graph(near[:, :k1])), reciprocal_edges(_graph(near[:, : max(1, round(k1 / 2))]))
    encoded = _weighted(expand_neighbours(wide, narrow), features)
    if k2 > 1:
        encoded = (_graph(near[:, : k2 - 1]) @ encoded).multiply(np.float32(1 / min(k2, near.shape[1] + 1))).tocsr()
    shared = _shared(encoded)
    shared.data = shared.data / (2 - shared.data)
    return shared


def _graph(near: Ints) -> csr_matrix:
    """Make the graph of neighbours, in which each sample is its own neighbour."""
    graph = neighbour_graph(near)
    graph.sort_indices()  # sums of weights follow this order
    return graph + identity(len(near), np.float32, format="csr")


def _weighted(graph: csr_matrix, features: Floats) -> csr_matrix:
    """Weight the edges by exp(-squared distance), with row sums of 1."""
    rows = edge_rows(graph)
    weights = np.empty(graph.nnz, np.float32)
    step = max(1, TRIPLES // features.shape[1])
    for start in range(0, graph.nnz, step):
        part = slice(start, start + step)
        product = np.einsum("nd,nd->n", features[rows[part]], features[graph.indices[part]])
        weights[part] = np.exp(2 * product - 2)
    sums = np.bincount(rows, weights, minlength=graph.shape[0]).astype(np.float32)
    return csr_matrix((weights / sums[rows], graph.indices, graph.indptr), shape=graph.shape)


def _shared(rows: csr_matrix) -> csr_matrix:
    """Sum min(a_k, b_k) over k for all pairs of different rows a, b that have a k in common."""
    columns = rows.tocsc()
    lengths = np.diff(columns.indptr)
    work = np.cumsum(np.concatenate([[0], np.add.reduceat(lengths[rows.indices], rows.indptr[:-1])]))
    parts, start = [], 0
    while start < rows.shape[0]:
        end = max(start + 1, int(np.searchsorted(work, work[start] + TRIPLES, side="right")) - 1)
        parts.append(_shared_of_rows(rows, columns, lengths, start, end))
        start = end
    return _stacked(parts, rows.shape[0])


def _shared_of_rows(rows: csr_matrix, columns: csr_matrix, lengths: NDArray[np.int32], start: int, end: int) -> csr_matrix:
    part = slice(rows.indptr[start], rows.indptr[end])
    named, values = rows.indices[part], rows.data[part]
    owner = np.repeat(np.arange(start, end), np.diff(rows.indptr[start : end + 1]))
    counts = lengths[named]
    ends = np.cumsum(counts)
    index = np.arange(ends[-1]) - np.repeat(ends - counts, counts) + np.repeat(columns.indptr[named], counts)
    first, second = np.repeat(owner, counts) - start, columns.indices[index]
    minimum = np.minimum(np.repeat(values, counts), columns.data[index])
    sums = coo_matrix((minimum, (first, second)), shape=(end - start, rows.shape[0])).tocsr()
    sums.data[sums.data < MIN_SHARED] = 0
    sums.eliminate_zeros()
    return sums


def _stacked(parts: list[csr_matrix], count: int) -> csr_matrix:
    """Stack blocks of rows, and remove the diagonal."""
    rows = np.concatenate([[0], *(np.diff(part.indptr) for part in parts)]).cumsum()
    data, indices = (np.concatenate([getattr(part, name) for part in parts]) for name in ("data", "indices"))
    whole = csr_matrix((np.minimum(data, 1), indices, rows), shape=(count, count))
    whole.setdiag(0)
    whole.eliminate_zeros()
    both: csr_matrix = whole.maximum(
        whole.T
    ).tocsr()  # the two halves were summed in different orders, and differ in the last bit
    return both
