"""Neighbours that name each other: the graphs of k-reciprocal encoding, as sparse matrices.

By Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017. The committee compares
neighbourhoods by it, and the re-ranked test of re-identification does.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

ENOUGH = 2 / 3
"""Part of a neighbour's own neighbours that must be neighbours already, for all of them to be added."""


def neighbour_graph(near: NDArray[np.int64]) -> csr_matrix:
    """Make a graph in which every sample names its neighbours.

    Parameters
    ----------
    near : ndarray of int64, shape (N, k)
        Indices of each sample's neighbours.

    Returns
    -------
    csr_matrix of float32, shape (N, N)
        1 where the row's sample names the column's.

    Examples
    --------
    >>> neighbour_graph(np.array([[1], [0], [1]])).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    ends = np.arange(0, near.size + 1, near.shape[1])
    return csr_matrix((np.ones(near.size, np.float32), near.ravel(), ends), shape=(len(near), len(near)))


def reciprocal(graph: csr_matrix) -> csr_matrix:
    """Keep the edges between samples that name each other.

    Examples
    --------
    >>> reciprocal(neighbour_graph(np.array([[1], [0], [1]]))).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    both: csr_matrix = graph.multiply(graph.T).tocsr()
    return both


def expanded(wide: csr_matrix, narrow: csr_matrix) -> csr_matrix:
    """Add the narrow neighbourhoods of those neighbours whose own lie mostly within: the paper's R*.

    Parameters
    ----------
    wide, narrow : csr_matrix, shape (N, N)
        Reciprocal neighbours among the k nearest, and among the k / 2 nearest; a sample names itself.

    Returns
    -------
    csr_matrix, shape (N, N)
        Above 0 where the row's sample has the column's as a neighbour.
    """
    inside = wide.multiply(wide @ narrow.T).tocsr()
    sizes = np.asarray(narrow.sum(1)).ravel()
    inside.data = (inside.data > ENOUGH * sizes[inside.indices]).astype(np.float32)
    inside.eliminate_zeros()
    both: csr_matrix = (wide + inside @ narrow).tocsr()
    return both


def row_of_each_edge(graph: csr_matrix) -> NDArray[np.int64]:
    """List the row of each stored value, in their order.

    Examples
    --------
    >>> row_of_each_edge(neighbour_graph(np.array([[1, 2], [0, 2], [0, 1]]))).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    return np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
