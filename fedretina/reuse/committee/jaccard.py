"""How much two samples' neighbourhoods overlap, as a sparse matrix: most pairs have no neighbour in common.

By Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, identity

from fedretina.features.reciprocal import expanded, neighbour_graph, reciprocal, row_of_each_edge
from fedretina.reuse.committee.neighbours import nearest
from fedretina.reuse.committee.unit_vectors import Floats, Whole

TRIPLES = 4_000_000
SMALLEST = 0.04  # a walk along more edges is ten times slower, and on noisy features no better


def overlap(features: Floats, *, k1: int = 12, k2: int = 6) -> csr_matrix:
    """Compute 1 - J, where J is the k-reciprocal Jaccard distance.

    Parameters
    ----------
    features : ndarray of float32, shape (N, d)
        Unit vectors.
    k1 : int, default 12
        Neighbours among which a pair must name each other.
    k2 : int, default 6
        A sample's neighbourhood is the mean over its k2 nearest, itself included; 1 leaves it as it is.

    Returns
    -------
    csr_matrix of float32, shape (N, N)
        Symmetric, between 0 and 1; the diagonal is empty, and so is where less than 0.04 is shared.

    Examples
    --------
    >>> points = np.array([[1, 0], [0.99, 0.14], [0, 1], [0.14, 0.99]], np.float32)
    >>> overlap(points, k1=1, k2=1).toarray().round(1).tolist()
    [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]
    """
    near = nearest(features, max(k1, k2 - 1))
    wide, narrow = reciprocal(_graph(near[:, :k1])), reciprocal(_graph(near[:, : max(1, round(k1 / 2))]))
    encoded = _weighted(expanded(wide, narrow), features)
    if k2 > 1:
        encoded = (_graph(near[:, : k2 - 1]) @ encoded).multiply(np.float32(1 / min(k2, near.shape[1] + 1))).tocsr()
    shared = _shared(encoded)
    shared.data = shared.data / (2 - shared.data)
    return shared


def _graph(near: Whole) -> csr_matrix:
    """Make the graph of neighbours; each sample names itself too."""
    graph = neighbour_graph(near)
    graph.sort_indices()  # sums of weights follow this order
    return graph + identity(len(near), np.float32, format="csr")


def _weighted(graph: csr_matrix, features: Floats) -> csr_matrix:
    """Give neighbours the weights exp(-squared distance), a row's sum 1."""
    rows = row_of_each_edge(graph)
    weights = np.empty(graph.nnz, np.float32)
    step = max(1, TRIPLES // features.shape[1])
    for start in range(0, graph.nnz, step):
        part = slice(start, start + step)
        product = np.einsum("nd,nd->n", features[rows[part]], features[graph.indices[part]])
        weights[part] = np.exp(2 * product - 2)
    sums = np.bincount(rows, weights, minlength=graph.shape[0]).astype(np.float32)
    return csr_matrix((weights / sums[rows], graph.indices, graph.indptr), shape=graph.shape)


def _shared(rows: csr_matrix) -> csr_matrix:
    """Sum min(a_k, b_k) over k for all pairs of rows a, b that have a k in common, the pairs (i, i) left out."""
    columns = rows.tocsc()
    lengths = np.diff(columns.indptr)
    work = np.cumsum(np.concatenate([[0], np.add.reduceat(lengths[rows.indices], rows.indptr[:-1])]))
    parts, start = [], 0
    while start < rows.shape[0]:
        end = max(start + 1, int(np.searchsorted(work, work[start] + TRIPLES, side="right")) - 1)
        parts.append(_shared_by(rows, columns, lengths, start, end))
        start = end
    return _stacked(parts, rows.shape[0])


def _shared_by(rows: csr_matrix, columns: csr_matrix, lengths: NDArray[np.int32], start: int, end: int) -> csr_matrix:
    held = slice(rows.indptr[start], rows.indptr[end])
    named, values = rows.indices[held], rows.data[held]
    owner = np.repeat(np.arange(start, end), np.diff(rows.indptr[start : end + 1]))
    many = lengths[named]
    ends = np.cumsum(many)
    place = np.arange(ends[-1]) - np.repeat(ends - many, many) + np.repeat(columns.indptr[named], many)
    first, second = np.repeat(owner, many) - start, columns.indices[place]
    least = np.minimum(np.repeat(values, many), columns.data[place])
    sums = coo_matrix((least, (first, second)), shape=(end - start, rows.shape[0])).tocsr()
    sums.data[sums.data < SMALLEST] = 0
    sums.eliminate_zeros()
    return sums


def _stacked(parts: list[csr_matrix], count: int) -> csr_matrix:
    """Put blocks of rows one under another, without the diagonal."""
    rows = np.concatenate([[0], *(np.diff(part.indptr) for part in parts)]).cumsum()
    data, indices = (np.concatenate([getattr(part, name) for part in parts]) for name in ("data", "indices"))
    whole = csr_matrix((np.minimum(data, 1), indices, rows), shape=(count, count))
    whole.setdiag(0)
    whole.eliminate_zeros()
    both: csr_matrix = whole.maximum(whole.T).tocsr()  # sums in another order differ in their last bit
    return both
