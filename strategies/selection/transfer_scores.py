"""How well features suit labels, without training: LogME and H-score."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedretina.errors import BadArgument

_STEPS = 100
_TOLERANCE = 1e-6
Matrix = NDArray[np.float64]


def logme(features: ArrayLike, labels: ArrayLike) -> float:
    """Compute LogME: the largest log evidence of a Bayesian linear model of the labels, per sample (You et al., ICML 2021).

    Each class is a regression of 0 and 1. The precisions of the weights and of the noise maximise the evidence. MacKay's
    fixed point finds them.

    Parameters
    ----------
    features : array of float, shape (N, d)
        Features that a candidate's model gives the target's samples.
    labels : array of int, shape (N,)
        Their classes.

    Returns
    -------
    float
        The mean over the classes; larger is better. It compares features on the same samples only.

    Raises
    ------
    BadArgument
        If the shapes do not fit, a value is not finite, or there are fewer than two samples or classes.

    Examples
    --------
    >>> labels = [0, 0, 0, 1, 1, 1]
    >>> apart, mixed = [[-1.0], [-1.1], [-0.9], [1.0], [1.1], [0.9]], [[1.0], [-1.0], [1.0], [1.0], [-1.0], [1.0]]
    >>> logme(apart, labels) > logme(mixed, labels)
    True
    """
    matrix, classes = _checked(features, labels)
    left, singular, _ = np.linalg.svd(matrix, full_matrices=False)
    targets = [(classes == label).astype(np.float64) for label in np.unique(classes)]
    return float(np.mean([_evidence(left, singular, target, matrix.shape[1]) for target in targets]) / len(classes))


def h_score(features: ArrayLike, labels: ArrayLike) -> float:
    """Compute the H-score: the part of the features' variance that lies between the classes (Bao et al., ICIP 2019).

    Parameters
    ----------
    features : array of float, shape (N, d)
        Features that a candidate's model gives the target's samples.
    labels : array of int, shape (N,)
        Their classes.

    Returns
    -------
    float
        From 0 to the number of classes minus 1; larger is better.

    Raises
    ------
    BadArgument
        As `logme`.

    Examples
    --------
    >>> round(h_score([[0.0], [0.0], [5.0], [5.0]], [0, 0, 1, 1]), 6)
    1.0
    """
    matrix, classes = _checked(features, labels)
    centred = matrix - matrix.mean(0)
    means = np.empty_like(centred)
    for label in np.unique(classes):
        means[classes == label] = centred[classes == label].mean(0)
    return float(np.trace(np.linalg.pinv(centred.T @ centred, rcond=1e-10) @ (means.T @ means)))


def _checked(features: ArrayLike, labels: ArrayLike) -> tuple[Matrix, NDArray[np.int64]]:
    matrix, classes = np.asarray(features, np.float64), np.asarray(labels)
    if matrix.ndim != 2 or classes.shape != matrix.shape[:1] or not np.isfinite(matrix).all():
        raise BadArgument(f"features {matrix.shape} and labels {classes.shape}: give finite features (N, d) and labels (N,)")
    if len(np.unique(classes)) < 2:
        raise BadArgument(f"labels have {len(np.unique(classes))} class(es): a score needs at least two")
    return matrix, classes


def _evidence(left: Matrix, singular: Matrix, target: Matrix, dimensions: int) -> float:
    """Maximise the log evidence of one regression over alpha (weights' precision) and beta (noise's precision)."""
    samples, squared = len(target), singular**2
    projected = (left.T @ target) ** 2
    outside = max(float(target @ target - projected.sum()), 0.0)  # what no weights explain
    alpha = beta = 1.0
    for _ in range(_STEPS):
        effective = float((beta * squared / (alpha + beta * squared)).sum())
        weights, residual = _norms(alpha, beta, squared, projected, outside)
        ratio = alpha / beta
        alpha, beta = effective / max(weights, 1e-12), (samples - effective) / max(residual, 1e-12)
        if abs(alpha / beta - ratio) <= _TOLERANCE * ratio:
            break
    weights, residual = _norms(alpha, beta, squared, projected, outside)
    log_determinant = float(np.log(alpha + beta * squared).sum()) + (dimensions - len(singular)) * np.log(alpha)
    fit = dimensions * np.log(alpha) + samples * np.log(beta / (2 * np.pi))
    return 0.5 * float(fit - beta * residual - alpha * weights - log_determinant)


def _norms(alpha: float, beta: float, squared: Matrix, projected: Matrix, outside: float) -> tuple[float, float]:
    """Return the squared norms of the posterior mean and of its residual."""
    shrunk = beta / (alpha + beta * squared)
    weights = float((squared * projected * shrunk**2).sum())
    residual = float((projected * (1 - squared * shrunk) ** 2).sum()) + outside
    return weights, residual
