"""Places of domains on a map: near to each other where their sketches are alike."""

from collections.abc import Mapping

import numpy as np


def positions(sketches: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Place domains in the plane: the first two principal components of their sketches' projection matrices.

    The distance of two projection matrices is the chordal distance of the subspaces.

    Examples
    --------
    >>> places = positions({"mill": np.float16([[1], [0]]), "port": np.float16([[0], [1]])})
    >>> round(abs(places["mill"][0] - places["port"][0]), 3)
    1.414
    """
    if not sketches:
        return {}
    rows = np.stack([(each.astype(float) @ each.astype(float).T).ravel() for each in sketches.values()])
    left, singular, _ = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    plane = np.zeros((len(rows), 2))
    plane[:, : min(2, len(singular))] = (left * singular)[:, :2]
    return {name: (float(x), float(y)) for name, (x, y) in zip(sketches, plane, strict=True)}
