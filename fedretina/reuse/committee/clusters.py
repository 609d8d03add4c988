"""Clusters of samples that no label names: density clustering (DBSCAN, Ester et al., KDD 1996) on a sparse graph."""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from fedretina.reuse.committee.unit_vectors import Whole


def clusters(graph: csr_matrix, *, nearness: float = 0.5, least: int = 3) -> Whole:
    """Group samples that are densely tied.

    Parameters
    ----------
    graph : csr_matrix, shape (N, N)
        Symmetric nearness, 0 to 1, its diagonal empty: 1 - J.
    nearness : float, default 0.5
        Two samples this near or nearer are neighbours (DBSCAN's eps is 1 - nearness).
    least : int, default 3
        A sample with so many neighbours, itself included, is a core; cores that are neighbours share a cluster,
        and other samples join that of their nearest core.

    Returns
    -------
    ndarray of int64, shape (N,)
        Cluster from 0, -1 where a sample has no core near it.

    Examples
    --------
    >>> near = np.zeros((5, 5))
    >>> near[0, 1] = near[1, 2] = 0.9
    >>> clusters(csr_matrix(near + near.T), least=3).tolist()
    [0, 0, 0, -1, -1]
    """
    close = graph.copy()
    close.data = np.where(close.data >= nearness, close.data, 0)
    close.eliminate_zeros()
    core = np.diff(close.indptr) + 1 >= least
    found = np.full(graph.shape[0], -1, np.int64)
    cores = np.flatnonzero(core)
    if len(cores):
        found[cores] = connected_components(close[cores][:, cores], directed=False)[1]
        to_core = close[:, cores]
        border = ~core & (np.diff(to_core.indptr) > 0)
        found[border] = found[cores[np.asarray(to_core[border].argmax(1)).ravel()]]
    return found


def new_classes(graph: csr_matrix, labels: Whole, *, nearness: float = 0.5, least: int = 3) -> Whole:
    """Number the clusters without any labelled member, after the known classes.

    Returns
    -------
    ndarray of int64, shape (N,)
        The labels, and new classes from max(labels) + 1 on for the members of new clusters.

    Examples
    --------
    >>> near = np.kron(np.eye(2), 0.9 * (1 - np.eye(3)))
    >>> new_classes(csr_matrix(near), np.array([0, -1, -1, -1, -1, -1])).tolist()
    [0, -1, -1, 1, 1, 1]
    """
    found = clusters(graph, nearness=nearness, least=least)
    known = np.unique(found[(labels >= 0) & (found >= 0)])
    fresh = (found >= 0) & ~np.isin(found, known)
    seeds = labels.copy()
    seeds[fresh] = int(labels.max(initial=-1)) + 1 + np.unique(found[fresh], return_inverse=True)[1]
    return seeds
