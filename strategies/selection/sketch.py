"""Sketches of domains: a few principal directions of their features, instead of any sample."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedretina.errors import BadArgument

Sketch = tuple[NDArray[np.float16], ...]
"""For each camera (or other group) its principal directions, shape (d, p), orthonormal up to float16."""


def sketch(features: ArrayLike, *, directions: int = 3, groups: ArrayLike | None = None) -> Sketch:
    """Compute the principal directions of a domain's features, for each camera.

    The directions are singular vectors of the uncentred features, as in PACFL: the first one is close to the mean.
    A camera with fewer samples than directions is left out, unless it is the only one.

    Parameters
    ----------
    features : array of float, shape (N, d)
        Features of samples, by a function that all domains share.
    directions : int, default 3
        p, from 1 to d.
    groups : array of int, shape (N,), optional
        The camera of each sample. Default: one camera.

    Returns
    -------
    tuple of ndarray of float16, shape (d, p)
        The sketch: 2 d p bytes for each camera.

    Raises
    ------
    BadArgument
        If the features are no finite matrix with samples, or `directions` is out of range.

    Examples
    --------
    >>> (directions,) = sketch([[2.0, 0.0], [3.0, 0.1]], directions=1)
    >>> directions.shape, bool(abs(directions[0, 0]) > 0.99)
    ((2, 1), True)
    """
    matrix = np.asarray(features, np.float64)
    if matrix.ndim != 2 or not len(matrix) or not np.isfinite(matrix).all():
        raise BadArgument(f"features have the shape {matrix.shape}: give finite numbers, (N, d), with at least one sample")
    if not 1 <= directions <= matrix.shape[1]:
        raise BadArgument(f"directions is {directions}: give 1 to {matrix.shape[1]}, the number of features")
    column = np.zeros(len(matrix), np.int64) if groups is None else np.asarray(groups)
    parts = [matrix[column == group] for group in np.unique(column)]
    large = [part for part in parts if len(part) >= directions] or [matrix]
    return tuple(_principal(part, directions) for part in large)


def sketch_distance(one: Sketch, other: Sketch) -> float:
    """Compute the distance of two domains: the mean principal angle, in degrees, of their two most similar cameras.

    Examples
    --------
    >>> east, north = np.float16([[1], [0]]), np.float16([[0], [1]])
    >>> sketch_distance((east,), (north,)), sketch_distance((east,), (north, east))
    (90.0, 0.0)
    """
    return min(_mean_angle(a, b) for a in one for b in other)


def nearest_first(target: str, candidates: Sequence[str], sketches: dict[str, Sketch]) -> list[str]:
    """Sort candidates by their distance to the target; those without a sketch are last."""
    own = sketches.get(target)
    far = float("inf")
    distance = {
        name: sketch_distance(own, sketches[name]) if own is not None and name in sketches else far for name in candidates
    }
    return sorted(candidates, key=lambda name: distance[name])


def positions(sketches: Mapping[str, Sketch]) -> dict[str, tuple[float, float]]:
    """Place domains in the plane: the first two principal components of their mean projection matrices.

    The distance of two projection matrices is the chordal distance of the subspaces.

    Examples
    --------
    >>> places = positions({"mill": (np.float16([[1], [0]]),), "port": (np.float16([[0], [1]]),)})
    >>> round(abs(places["mill"][0] - places["port"][0]), 3)
    1.414
    """
    if not sketches:
        return {}
    matrices = [sum(camera.astype(float) @ camera.astype(float).T for camera in s) / len(s) for s in sketches.values()]
    rows = np.stack([np.asarray(matrix).ravel() for matrix in matrices])
    left, singular, _ = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    plane = np.zeros((len(rows), 2))
    plane[:, : min(2, len(singular))] = (left * singular)[:, :2]
    return {name: (float(x), float(y)) for name, (x, y) in zip(sketches, plane, strict=True)}


def _principal(matrix: NDArray[np.float64], directions: int) -> NDArray[np.float16]:
    """Return the directions, largest first. Fewer samples than directions: the missing ones are zero."""
    _, _, right = np.linalg.svd(matrix, full_matrices=False)
    columns = np.zeros((matrix.shape[1], directions))
    columns[:, : min(directions, len(right))] = right[:directions].T
    return columns.astype(np.float16)


def _mean_angle(one: NDArray[np.float16], other: NDArray[np.float16]) -> float:
    cosines = np.linalg.svd(one.astype(np.float64).T @ other.astype(np.float64), compute_uv=False)
    return float(np.degrees(np.arccos(np.clip(cosines, 0, 1))).mean())
