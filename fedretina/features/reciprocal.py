"""Graphs of k-reciprocal nearest neighbours, as sparse matrices.

Source: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017. The committee of
`fedretina.reuse` and the re-ranking of `fedretina.reid` both use them.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

MIN_OVERLAP = 2 / 3
"""Fraction of a neighbour's own neighbours that must be neighbours already, before all of them are added."""


def neighbour_graph(near: NDArray[np.int64]) -> csr_matrix:
    """Make the directed graph of nearest neighbours.

    Parameters
    ----------
    near : ndarray of int64, shape (N, k)
        Indices of each sample's k nearest neighbours.

    Returns
    -------
    csr_matrix of float32, shape (N, N)
        1 where the column's sample is a neighbour of the row's sample.

    Examples
    --------
    >>> neighbour_graph(np.array([[1], [0], [1]])).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    ends = np.arange(0, near.size + 1, near.shape[1])
    return csr_matrix((np.ones(near.size, np.float32), near.ravel(), ends), shape=(len(near), len(near)))


def reciprocal_edges(graph: csr_matrix) -> csr_matrix:
    """Keep the edges that go in both directions.

    Parameters
    ----------
    graph : csr_matrix, shape (N, N)
        A graph of `neighbour_graph`.

    Returns
    -------
    csr_matrix of float32, shape (N, N)
        1 where each of the two samples is a neighbour of the other.

    Examples
    --------
    >>> reciprocal_edges(neighbour_graph(np.array([[1], [0], [1]]))).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    both: csr_matrix = graph.multiply(graph.T).tocsr()
    return both


def expand_neighbours(wide: csr_matrix, narrow: csr_matrix) -> csr_matrix:
    """Expand neighbourhoods: add a neighbour's own neighbours if two thirds of them are neighbours already (the paper's R*).

    Parameters
    ----------
    wide, narrow : csr_matrix, shape (N, N)
        Reciprocal neighbours among the k nearest, and among the k / 2 nearest. A sample is its own neighbour.

    Returns
    -------
    csr_matrix, shape (N, N)
        Above 0 where the column's sample is a neighbour of the row's sample.

    Examples
    --------
    >>> pairs = csr_matrix(np.kron(np.eye(2), np.ones((2, 2))))
    >>> (expand_neighbours(pairs, pairs).toarray() > 0).astype(int).tolist()
    [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    """
    inside = wide.multiply(wide @ narrow.T).tocsr()
    sizes = np.asarray(narrow.sum(1)).ravel()
    inside.data = (inside.data > MIN_OVERLAP * sizes[inside.indices]).astype(np.float32)
    inside.eliminate_zeros()
    both: csr_matrix = (wide + inside @ narrow).tocsr()
    return both


def edge_rows(graph: csr_matrix) -> NDArray[np.int64]:
    """List the row of each stored value, in the order of `graph.data`.

    Parameters
    ----------
    graph : csr_matrix, shape (N, N)
        With E stored values.

    Returns
    -------
    ndarray of int64, shape (E,)
        Row indices.

    Examples
    --------
    >>> edge_rows(neighbour_graph(np.array([[1, 2], [0, 2], [0, 1]]))).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    return np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
