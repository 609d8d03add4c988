"""Features as unit vectors, without the mean of their group."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fedretina.errors import BadArgument

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

SMALLEST = np.float32(1e-12)


def normalise_rows(features: Floats) -> Floats:
    """Scale every row, (N, d), to length 1. A row of zeros does not change."""
    with np.errstate(over="ignore"):
        length = np.linalg.norm(features, axis=1, keepdims=True)
    if np.isinf(length).any():  # the squares overflow; all other tables keep their last bits
        return normalise_rows(features / np.maximum(np.abs(features).max(axis=1, keepdims=True), SMALLEST))
    scaled: Floats = np.asarray(features / np.maximum(length, SMALLEST), np.float32)
    return scaled


def centre_groups(features: Floats, groups: Ints | None = None) -> Floats:
    """Subtract each group's mean from its unit vectors, so that images of different groups can be compared.

    Parameters
    ----------
    features : ndarray of float32, shape (N, d)
        One row per sample.
    groups : ndarray of int64, shape (N,), optional
        The origin of each sample, such as its camera. Default: all samples are one group.

    Returns
    -------
    ndarray of float32, shape (N, d)
        Unit vectors. The only sample of a group keeps its vector: minus its mean it would be 0.

    Examples
    --------
    >>> centre_groups(np.array([[2, 2], [1, 1], [9, 0]], np.float32), np.array([5, 5, 7])).tolist()
    [[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    """
    features = normalise_rows(features)
    index = np.zeros(len(features), np.int64) if groups is None else np.unique(groups, return_inverse=True)[1]
    means = np.zeros((int(index.max(initial=0)) + 1, features.shape[1]), np.float32)
    np.add.at(means, index, features)
    counts = np.bincount(index, minlength=len(means)).astype(np.float32)
    means /= np.maximum(counts, 1)[:, None]
    means[counts == 1] = 0
    return normalise_rows(features - means[index])


def concatenate(parts: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Concatenate several models' unit vectors, each multiplied by the root of its weight, and scale to length 1.

    The inner product of two rows is then the weighted mean of the models' own inner products.

    Parameters
    ----------
    parts : mapping of str to ndarray of float32, shape (N, d_m)
        Unit vectors of each model.
    weights : mapping of str to float
        The weight of each model, 0 or more.

    Examples
    --------
    >>> parts = {"a": np.ones((1, 1), np.float32), "b": np.ones((1, 1), np.float32)}
    >>> concatenate(parts, {"a": 0.36, "b": 0.64})
    array([[0.6, 0.8]], dtype=float32)
    """
    return normalise_rows(np.hstack([np.sqrt(np.float32(weights[name])) * part for name, part in parts.items()]))


def reduce_dimensions(features: Floats, dimensions: int) -> Floats:
    """Project features onto the directions of their largest second moments; inner products change little.

    Parameters
    ----------
    features : ndarray of float32, shape (N, d)
        One row per sample.
    dimensions : int
        Directions kept. Features of at most this width do not change.

    Examples
    --------
    >>> flat = np.array([[3, 0, 0], [0, 4, 0]], np.float32)
    >>> abs(reduce_dimensions(flat, 2)).tolist()
    [[0.0, 3.0], [4.0, 0.0]]
    """
    if features.shape[1] <= dimensions:
        return features
    second_moments = features.T @ features
    directions = np.linalg.eigh(second_moments)[1][:, ::-1][:, :dimensions]
    return np.ascontiguousarray(features @ directions)


def check_features(name: str, features: object, samples: int | None = None) -> Floats:
    """Convert an array or a CPU tensor to a table of features, (N, d); `BadArgument` for any other shape or NaN."""
    table = np.asarray(features, np.float32)
    if table.ndim != 2 or not table.size or (samples is not None and len(table) != samples):
        rows = "N" if samples is None else samples
        raise BadArgument(f"features of {name!r} have the shape {table.shape}: give ({rows}, d), a row per sample")
    if not np.isfinite(table).all():
        raise BadArgument(f"features of {name!r} have NaN or infinite values: leave that model out")
    return table
