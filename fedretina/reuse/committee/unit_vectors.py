"""The features that a committee compares: unit vectors without what a camera adds to all of its images."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fedretina.errors import BadArgument

Floats = NDArray[np.float32]
Whole = NDArray[np.int64]

SMALLEST = np.float32(1e-12)


def unit(features: Floats) -> Floats:
    """Scale every row, (N, d), to length 1; a row of zeros stays."""
    with np.errstate(over="ignore"):
        length = np.linalg.norm(features, axis=1, keepdims=True)
    if np.isinf(length).any():  # squares that overflow; other tables keep their last bits
        return unit(features / np.maximum(np.abs(features).max(axis=1, keepdims=True), SMALLEST))
    scaled: Floats = np.asarray(features / np.maximum(length, SMALLEST), np.float32)
    return scaled


def centred(features: Floats, groups: Whole | None = None) -> Floats:
    """Take each group's mean out of its unit vectors, so that images of different groups can be compared.

    Parameters
    ----------
    features : ndarray of float32, shape (N, d)
        One row a sample.
    groups : ndarray of int64, shape (N,), optional
        Where each sample comes from, such as its camera; without them all are one group.

    Returns
    -------
    ndarray of float32, shape (N, d)
        Unit vectors. The single sample of a group keeps its vector: its mean would leave nothing.

    Examples
    --------
    >>> centred(np.array([[2, 2], [1, 1], [9, 0]], np.float32), np.array([5, 5, 7])).tolist()
    [[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    """
    features = unit(features)
    places = np.zeros(len(features), np.int64) if groups is None else np.unique(groups, return_inverse=True)[1]
    means = np.zeros((int(places.max(initial=0)) + 1, features.shape[1]), np.float32)
    np.add.at(means, places, features)
    counts = np.bincount(places, minlength=len(means)).astype(np.float32)
    means /= np.maximum(counts, 1)[:, None]
    means[counts == 1] = 0
    return unit(features - means[places])


def joined(parts: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Put several models' unit vectors side by side, each times the root of its weight, and scale to length 1.

    The inner product of two rows is then the weighted mean of the models' own inner products.

    Examples
    --------
    >>> parts = {"a": np.ones((1, 1), np.float32), "b": np.ones((1, 1), np.float32)}
    >>> joined(parts, {"a": 0.36, "b": 0.64})
    array([[0.6, 0.8]], dtype=float32)
    """
    return unit(np.hstack([np.sqrt(np.float32(weights[name])) * part for name, part in parts.items()]))


def reduced(features: Floats, dimensions: int) -> Floats:
    """Keep the directions of the largest second moments; inner products stay nearly what they were.

    Examples
    --------
    >>> flat = np.array([[3, 0, 0], [0, 4, 0]], np.float32)
    >>> abs(reduced(flat, 2)).tolist()
    [[0.0, 3.0], [4.0, 0.0]]
    """
    if features.shape[1] <= dimensions:
        return features
    moment = features.T @ features
    directions = np.linalg.eigh(moment)[1][:, ::-1][:, :dimensions]
    return np.ascontiguousarray(features @ directions)


def checked(name: str, features: object, samples: int | None = None) -> Floats:
    """Take a table of features, (N, d), from an array or a CPU tensor; refuse what is none."""
    table = np.asarray(features, np.float32)
    if table.ndim != 2 or not table.size or (samples is not None and len(table) != samples):
        rows = "N" if samples is None else samples
        raise BadArgument(f"features of {name!r} have the shape {table.shape}: give ({rows}, d), a row per sample")
    if not np.isfinite(table).all():
        raise BadArgument(f"features of {name!r} have NaN or infinite values: leave that model out")
    return table
