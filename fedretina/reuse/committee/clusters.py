"""Clusters of samples: density clustering (DBSCAN, Ester et al., KDD 1996) on a sparse graph."""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from fedretina.reuse.committee.unit_vectors import Ints


def find_clusters(graph: csr_matrix, *, min_similarity: float = 0.5, min_samples: int = 3) -> Ints:
    """Group samples that are densely connected.

    Parameters
    ----------
    graph : csr_matrix, shape (N, N)
        Symmetric similarities, 0 to 1, with an empty diagonal: 1 - J of `jaccard_similarity`.
    min_similarity : float, default 0.5
        Two samples of this similarity or more are neighbours (DBSCAN's eps is 1 - min_similarity).
    min_samples : int, default 3
        A sample with this many neighbours or more, itself included, is a core. Cores that are neighbours share a
        cluster. Any other sample joins the cluster of its nearest core.

    Returns
    -------
    ndarray of int64, shape (N,)
        The cluster of each sample, from 0; -1 if no core is its neighbour.

    Examples
    --------
    >>> near = np.zeros((5, 5))
    >>> near[0, 1] = near[1, 2] = 0.9
    >>> find_clusters(csr_matrix(near + near.T), min_samples=3).tolist()
    [0, 0, 0, -1, -1]
    """
    close = graph.copy()
    close.data = np.where(close.data >= min_similarity, close.data, 0)
    close.eliminate_zeros()
    core = np.diff(close.indptr) + 1 >= min_samples
    found = np.full(graph.shape[0], -1, np.int64)
    cores = np.flatnonzero(core)
    if len(cores):
        found[cores] = connected_components(close[cores][:, cores], directed=False)[1]
        to_core = close[:, cores]
        border = ~core & (np.diff(to_core.indptr) > 0)
        found[border] = found[cores[np.asarray(to_core[border].argmax(1)).ravel()]]
    return found


def add_new_classes(graph: csr_matrix, labels: Ints, *, min_similarity: float = 0.5, min_samples: int = 3) -> Ints:
    """Make a new class of each cluster that has no labelled member.

    Parameters
    ----------
    graph, min_similarity, min_samples
        As for `find_clusters`.
    labels : ndarray of int64, shape (N,)
        Known classes, -1 where unknown.

    Returns
    -------
    ndarray of int64, shape (N,)
        The labels, with the classes max(labels) + 1, ... for the members of the new clusters.

    Examples
    --------
    >>> near = np.kron(np.eye(2), 0.9 * (1 - np.eye(3)))
    >>> add_new_classes(csr_matrix(near), np.array([0, -1, -1, -1, -1, -1])).tolist()
    [0, -1, -1, 1, 1, 1]
    """
    found = find_clusters(graph, min_similarity=min_similarity, min_samples=min_samples)
    known = np.unique(found[(labels >= 0) & (found >= 0)])
    is_new = (found >= 0) & ~np.isin(found, known)
    seeds = labels.copy()
    seeds[is_new] = int(labels.max(initial=-1)) + 1 + np.unique(found[is_new], return_inverse=True)[1]
    return seeds
