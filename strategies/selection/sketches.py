"""Sketches of a domain's data: a few directions, from which the nearness of two domains follows.

A sketch is what a domain tells of its data before any model travels. It has no sample, but the directions are means over
samples: with few samples a direction may resemble one. So a sketch needs `MIN_SAMPLES` samples for each direction.
"""

from collections.abc import Sequence

import numpy as np

from fedretina.errors import BadArgument

MIN_SAMPLES = 10
"""So many samples must stand behind each direction."""


def sketch(features: np.ndarray, directions: int = 3) -> np.ndarray:
    """Sketch a domain by the principal directions of its features.

    Parameters
    ----------
    features : ndarray, shape (samples, dimensions), float
        Features of the domain's samples, by a network that all domains have, or small pictures as vectors.
    directions : int, default 3
        How many directions to keep.

    Returns
    -------
    ndarray, shape (dimensions, directions), float16
        Orthonormal columns (to half precision), the first with the most energy. The mean is not subtracted: who does not
        want it in the sketch subtracts it before.

    Raises
    ------
    BadArgument
        If there are fewer than 10 samples a direction, fewer dimensions than directions, or values that are not finite.

    References
    ----------
    Vahidian, Morafah, Wang, Kungurtsev, Chen, Shah and Lin: Efficient Distribution Similarity Identification in Clustered
    Federated Learning via Principal Angles Between Client Data Subspaces (PACFL). AAAI 2023.

    Examples
    --------
    >>> features = np.random.default_rng(0).normal(size=(100, 16)) + 1
    >>> sketch(features).shape, sketch(features).nbytes
    ((16, 3), 96)
    """
    matrix = np.asarray(features, dtype=np.float64)
    if matrix.ndim != 2 or not 1 <= directions <= matrix.shape[1]:
        raise BadArgument(
            f"features have shape {matrix.shape}, directions = {directions}: give (samples, {directions} or more)"
        )
    if len(matrix) < MIN_SAMPLES * directions:
        raise BadArgument(
            f"{len(matrix)} samples for {directions} directions: a sketch of so few samples may show them; give at least "
            f"{MIN_SAMPLES} samples a direction"
        )
    if not np.isfinite(matrix).all():
        raise BadArgument("features have NaN or infinite values: mend the network or the data that they come from")
    _, _, right = np.linalg.svd(matrix, full_matrices=False)
    return right[:directions].T.astype(np.float16)


def sketch_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the distance of two sketches: the sum of the principal angles between them, in degrees.

    Parameters
    ----------
    one, other : ndarray, shape (dimensions, directions)
        Two sketches; the number of directions may differ, the smaller counts.

    Raises
    ------
    BadArgument
        If the dimensions differ.

    Examples
    --------
    >>> axes = np.eye(4, dtype=np.float16)
    >>> round(sketch_distance(axes[:, :2], axes[:, 1:3]), 3)
    90.0
    """
    if one.ndim != 2 or other.ndim != 2 or len(one) != len(other):
        raise BadArgument(f"sketches have shapes {one.shape} and {other.shape}: make both with the same network")
    return float(sketch_distances(one, [other])[0])


def sketch_distances(one: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Return the distances of one sketch from others, all of one shape, as `sketch_distance` does.

    Examples
    --------
    >>> axes = np.eye(4, dtype=np.float16)
    >>> sketch_distances(axes[:, :1], [axes[:, :1], axes[:, 1:2]]).round(3).tolist()
    [0.0, 90.0]
    """
    basis, bases = (np.linalg.qr(np.asarray(each, dtype=np.float64))[0] for each in (one, np.stack(others)))
    cosines = np.linalg.svd(basis.T @ bases, compute_uv=False)
    angles: np.ndarray = np.degrees(np.arccos(np.clip(cosines, 0.0, 1.0))).sum(-1)
    return angles
