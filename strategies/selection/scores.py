"""Scores of a model's features on labelled samples. They estimate what training would reach, without training."""

import numpy as np

from fedretina.errors import BadArgument

_ROUNDS = 100
_TOLERANCE = 1e-6


def log_evidence(features: np.ndarray, labels: np.ndarray) -> float:
    """Score features by the evidence of a linear model for the labels (LogME).

    For each class, a Bayesian linear regression of its indicator on the features. The precisions of its weights and of its
    noise are those that make the labels most likely. The score is the mean log likelihood a sample, over the classes.

    Parameters
    ----------
    features : ndarray, shape (samples, dimensions), float
        The candidate's features of the samples.
    labels : ndarray, shape (samples,), integers or str
        The samples' classes, two or more.

    Returns
    -------
    float
        The score; higher is better.

    Raises
    ------
    BadArgument
        If shapes differ, a feature is not finite, or all samples have the same class.

    References
    ----------
    You, Liu, Wang and Long: LogME: Practical Assessment of Pre-trained Models for Transfer Learning. ICML 2021, algorithm 3
    (the fixed point). https://arxiv.org/abs/2102.11005

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(60) % 3
    >>> noise = rng.normal(size=(60, 8))
    >>> log_evidence(noise + 3 * np.eye(3, 8)[labels], labels) > log_evidence(noise, labels)
    True
    """
    matrix, classes = _checked(features, labels)
    left, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    indicators = (classes[:, None] == np.unique(classes)).astype(float)
    return float(_evidence(left, np.square(sizes)[:, None], matrix.shape, indicators).mean())


def _evidence(left: np.ndarray, squares: np.ndarray, shape: tuple[int, int], wanted: np.ndarray) -> np.ndarray:
    """Return the log evidence a sample for the indicator of each class, (classes,).

    `squares` are the squared singular values, (r, 1); `wanted` the indicators, (samples, classes).
    """
    count, dimensions = shape
    projected = np.square(left.T @ wanted)
    outside = np.maximum(np.square(wanted).sum(0) - projected.sum(0), 0.0)  # of the labels: what no weights can explain

    def weights_and_error(ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = (squares * projected / np.square(ratio + squares)).sum(0)
        return weights, (projected * np.square(ratio / (ratio + squares))).sum(0) + outside

    alpha, beta = np.ones(wanted.shape[1]), np.ones(wanted.shape[1])  # precisions of the weights and of the noise
    for _ in range(_ROUNDS):
        ratio = alpha / beta
        explained = (squares / (ratio + squares)).sum(0)
        weights, error = weights_and_error(ratio)
        alpha, beta = explained / np.maximum(weights, 1e-12), (count - explained) / np.maximum(error, 1e-12)
        if (np.abs(alpha / beta - ratio) <= _TOLERANCE * ratio).all():
            break
    weights, error = weights_and_error(alpha / beta)
    precision = np.log(alpha + beta * squares).sum(0) + (dimensions - len(squares)) * np.log(alpha)
    total = dimensions * np.log(alpha) + count * np.log(beta) - precision - beta * error - alpha * weights
    return np.asarray(total - count * np.log(2 * np.pi)) / (2 * count)


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """Score features by how much of their variation lies between the classes.

    Parameters
    ----------
    features : ndarray, shape (samples, dimensions), float
        The candidate's features of the samples.
    labels : ndarray, shape (samples,), integers or str
        The samples' classes, two or more.

    Returns
    -------
    float
        ``trace(cov(features)^-1 cov(class means))``, between 0 and the number of classes less 1; higher is better.

    Raises
    ------
    BadArgument
        If shapes differ, a feature is not finite, or all samples have the same class.

    References
    ----------
    Bao, Li, Huang, Zhang, Zheng, Zamir and Guibas: An Information-Theoretic Approach to Transferability in Task Transfer
    Learning. ICIP 2019, eq. 5.

    Examples
    --------
    >>> round(h_score(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 1])), 6)
    1.0
    """
    matrix, classes = _checked(features, labels)
    matrix = matrix - matrix.mean(axis=0)
    means = np.zeros_like(matrix)
    for label in np.unique(classes):
        means[classes == label] = matrix[classes == label].mean(axis=0)
    return float(np.trace(np.linalg.pinv(matrix.T @ matrix, rcond=1e-10, hermitian=True) @ (means.T @ means)))


def _checked(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    matrix, classes = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if matrix.ndim != 2 or classes.shape != matrix.shape[:1]:
        raise BadArgument(
            f"features have shape {matrix.shape}, labels {classes.shape}: give (samples, dimensions) and (samples,)"
        )
    if not np.isfinite(matrix).all():
        raise BadArgument("features have NaN or infinite values: leave the candidate out, or mend its model")
    if len(np.unique(classes)) < 2:
        raise BadArgument("all samples have one class: a score needs labelled samples of two or more classes")
    return matrix, classes
