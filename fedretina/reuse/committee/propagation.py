"""Label propagation (Zhou et al., "Learning with Local and Global Consistency", NIPS 2003) on a sparse graph."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags

from fedretina.reuse.committee.unit_vectors import Floats, Ints
from fedretina.reuse.committee.whitening import same_class_pairs

MOST_PER_SAMPLE = 32
COLUMNS = 256  # classes that are solved together
TOLERANCE = 1e-4
MOST_STEPS = 100
TINY = np.float32(np.finfo(np.float32).tiny)


class Votes(NamedTuple):
    """The result of label propagation for every sample.

    Attributes
    ----------
    labels : ndarray of int64, shape (N,)
        The class of the largest score; -1 if no class reaches the sample.
    confidence : ndarray of float32, shape (N,)
        The largest score minus the second largest; 0 if no class reaches the sample.
    """

    labels: Ints
    confidence: Floats


def constrain(graph: csr_matrix, labels: Ints) -> csr_matrix:
    """Remove the edges between samples of different known classes, and give weight 1 to edges within a known class.

    Parameters
    ----------
    graph : csr_matrix, shape (N, N)
        Symmetric weights, 0 to 1.
    labels : ndarray of int64, shape (N,)
        Known classes, -1 where unknown.

    Examples
    --------
    >>> graph = csr_matrix(np.array([[0, 0.5, 0.2], [0.5, 0, 0], [0.2, 0, 0]]))
    >>> constrain(graph, np.array([0, 1, 0])).toarray().tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    edges = graph.tocoo()
    first, second = labels[edges.row], labels[edges.col]
    allowed = (first < 0) | (second < 0) | (first == second)
    cut = coo_matrix((edges.data[allowed], (edges.row[allowed], edges.col[allowed])), shape=graph.shape).tocsr()
    one, other = same_class_pairs(labels, MOST_PER_SAMPLE).T
    ones = np.ones(2 * len(one), cut.dtype)
    known = coo_matrix((ones, (np.concatenate([one, other]), np.concatenate([other, one]))), shape=graph.shape)
    both: csr_matrix = cut.maximum(known.tocsr()).tocsr()
    return both


def propagate(graph: csr_matrix, seeds: Ints, *, damping: float = 0.9) -> Votes:
    """Propagate the seeds' classes along a graph: Z = (I - damping S)^-1 Y, where S is the degree-normalised graph.

    A class's column of Y is divided by the number of its seeds. Otherwise classes with many seeds would win.

    Parameters
    ----------
    graph : csr_matrix, shape (N, N)
        Symmetric weights, 0 or more.
    seeds : ndarray of int64, shape (N,)
        Classes, -1 where unknown.
    damping : float, default 0.9
        Damping factor: the chance to continue at each step, below 1.

    Examples
    --------
    >>> chain = csr_matrix(np.eye(5, k=1) + np.eye(5, k=-1))
    >>> propagate(chain, np.array([0, -1, -1, -1, 1])).labels.tolist()
    [0, 0, 0, 1, 1]
    """
    degrees = np.asarray(graph.sum(1), np.float32).ravel()
    root = diags(np.where(degrees > 0, 1 / np.sqrt(np.where(degrees > 0, degrees, 1)), 0).astype(np.float32))
    step = (damping * (root @ graph.astype(np.float32) @ root)).tocsr().astype(np.float32)
    classes = np.unique(seeds[seeds >= 0])
    best = Votes(np.full(len(seeds), -1), np.zeros(len(seeds), np.float32))
    second = np.zeros(len(seeds), np.float32)
    for start in range(0, len(classes), COLUMNS):
        some = classes[start : start + COLUMNS]
        best, second = _merge(best, second, some, _solve(step, _columns(seeds, some)))
    labels = np.where(best.confidence > 0, best.labels, -1)
    return Votes(labels, best.confidence - second)


def _columns(seeds: Ints, classes: Ints) -> Floats:
    """Give the columns of Y for some classes, each with sum 1."""
    indicator = (seeds[:, None] == classes).astype(np.float32)
    columns: Floats = np.asarray(indicator / indicator.sum(0), np.float32)
    return columns


def _solve(step: csr_matrix, y: Floats) -> Floats:
    """Solve (I - step) Z = Y by conjugate gradients, all columns at once; about 20 steps at damping 0.9."""
    z, residual = np.zeros_like(y), y.copy()
    direction, norms = residual.copy(), _dots(residual, residual)
    enough = TOLERANCE**2 * norms
    for _ in range(MOST_STEPS):
        image = direction - step @ direction
        length = norms / np.maximum(_dots(direction, image), TINY)
        z += length * direction
        residual -= length * image
        before, norms = norms, _dots(residual, residual)
        if (norms <= enough).all():
            break
        direction = residual + (norms / np.maximum(before, TINY)).astype(np.float32) * direction
    return z


def _dots(a: Floats, b: Floats) -> NDArray[np.float32]:
    products: NDArray[np.float32] = np.einsum("nc,nc->c", a, b)
    return products


def _merge(best: Votes, second: Floats, classes: Ints, z: Floats) -> tuple[Votes, Floats]:
    """Update the best and the second-best score with more classes; here `confidence` is the best score itself."""
    rows = np.arange(len(z))
    index = z.argmax(1)
    first = z[rows, index]
    z[rows, index] = 0
    runner_up = np.maximum(z.max(1), 0)
    wins = first > best.confidence
    second = np.maximum(second, np.where(wins, np.maximum(best.confidence, runner_up), first))
    return Votes(np.where(wins, classes[index], best.labels), np.where(wins, first, best.confidence)), second
