"""Label propagation (Zhou et al., "Learning with Local and Global Consistency", NIPS 2003) on a sparse graph."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags

from fedretina.reuse.committee.unit_vectors import Floats, Whole
from fedretina.reuse.committee.whitening import same_class

MOST_PER_SAMPLE = 32
COLUMNS = 256
TOLERANCE = 1e-4
MOST_STEPS = 100
TINY = np.float32(np.finfo(np.float32).tiny)


class Votes(NamedTuple):
    """What the walk from the seeds says of every sample.

    Attributes
    ----------
    labels : ndarray of int64, shape (N,)
        The class that reaches it most.
    confidence : ndarray of float32, shape (N,)
        By how much more than the next class; 0 where none reaches it.
    """

    labels: Whole
    confidence: Floats


def constrained(graph: csr_matrix, labels: Whole) -> csr_matrix:
    """Cut the edges between samples of different known classes, and tie those of one class with weight 1.

    Examples
    --------
    >>> graph = csr_matrix(np.array([[0, 0.5, 0.2], [0.5, 0, 0], [0.2, 0, 0]]))
    >>> constrained(graph, np.array([0, 1, 0])).toarray().tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    edges = graph.tocoo()
    first, second = labels[edges.row], labels[edges.col]
    kept = (first < 0) | (second < 0) | (first == second)
    cut = coo_matrix((edges.data[kept], (edges.row[kept], edges.col[kept])), shape=graph.shape).tocsr()
    one, other = same_class(labels, MOST_PER_SAMPLE).T
    ones = np.ones(2 * len(one), cut.dtype)
    ties = coo_matrix((ones, (np.concatenate([one, other]), np.concatenate([other, one]))), shape=graph.shape)
    both: csr_matrix = cut.maximum(ties.tocsr()).tocsr()
    return both


def propagate(graph: csr_matrix, seeds: Whole, *, walk: float = 0.9) -> Votes:
    """Let the seeds' classes walk along the graph: Z = (I - walk S)^-1 Y, S the graph normalised by its degrees.

    A class's column of Z is divided by its number of seeds: else classes with many win by their number.

    Parameters
    ----------
    graph : csr_matrix, shape (N, N)
        Symmetric weights, 0 or more.
    seeds : ndarray of int64, shape (N,)
        Classes, -1 where unknown.
    walk : float, default 0.9
        How far: the chance to go on at each step, below 1.

    Examples
    --------
    >>> chain = csr_matrix(np.eye(5, k=1) + np.eye(5, k=-1))
    >>> propagate(chain, np.array([0, -1, -1, -1, 1])).labels.tolist()
    [0, 0, 0, 1, 1]
    """
    degrees = np.asarray(graph.sum(1), np.float32).ravel()
    root = diags(np.where(degrees > 0, 1 / np.sqrt(np.where(degrees > 0, degrees, 1)), 0).astype(np.float32))
    step = (walk * (root @ graph.astype(np.float32) @ root)).tocsr().astype(np.float32)
    classes = np.unique(seeds[seeds >= 0])
    best = Votes(np.full(len(seeds), -1), np.zeros(len(seeds), np.float32))
    second = np.zeros(len(seeds), np.float32)
    for start in range(0, len(classes), COLUMNS):
        some = classes[start : start + COLUMNS]
        best, second = _merged(best, second, some, _solved(step, _columns(seeds, some)))
    labels = np.where(best.confidence > 0, best.labels, -1)
    return Votes(labels, best.confidence - second)


def _columns(seeds: Whole, classes: Whole) -> Floats:
    """Y's columns of some classes, each with sum 1."""
    wanted = (seeds[:, None] == classes).astype(np.float32)
    columns: Floats = np.asarray(wanted / wanted.sum(0), np.float32)
    return columns


def _solved(step: csr_matrix, y: Floats) -> Floats:
    """Solve (I - step) Z = Y by conjugate gradients, all columns at once; about 20 steps at walk 0.9."""
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


def _merged(best: Votes, second: Floats, classes: Whole, z: Floats) -> tuple[Votes, Floats]:
    """Take some more classes into the best and the second best so far; `confidence` holds the best's own value."""
    rows = np.arange(len(z))
    place = z.argmax(1)
    first = z[rows, place]
    z[rows, place] = 0
    next_ = np.maximum(z.max(1), 0)
    wins = first > best.confidence
    second = np.maximum(second, np.where(wins, np.maximum(best.confidence, next_), first))
    return Votes(np.where(wins, classes[place], best.labels), np.where(wins, first, best.confidence)), second
