"""A random rotation of an update: afterwards its values are spread like normal ones, whatever they were.

Signs by chance and the discrete cosine transform, twice. It takes any length, in place of the Hadamard transform of DRIVE
(Vargaftik et al., NeurIPS 2021) and EDEN (ICML 2022), which takes powers of two.
"""

import numpy as np
from scipy.fft import dct, idct

from fedretina.study.codecs.codec import Floats

Seed = tuple[int, ...]


def rotate(vector: Floats, seed: Seed) -> Floats:
    """Rotate a vector of float32.

    Examples
    --------
    >>> vector = np.float32([3, 0, 0, 0, 4])
    >>> rotated = rotate(vector, (7,))
    >>> round(float(np.linalg.norm(rotated)), 4)
    5.0
    >>> np.allclose(unrotate(rotated, (7,)), vector, atol=1e-6)
    True
    """
    for signs in _signs(vector.size, seed):
        vector = dct(signs * vector, norm="ortho") if vector.size else vector
    return vector


def unrotate(vector: Floats, seed: Seed) -> Floats:
    """Undo `rotate`."""
    for signs in reversed(_signs(vector.size, seed)):
        vector = signs * idct(vector, norm="ortho") if vector.size else vector
    return vector


def unbiased_scale(wanted: Floats, coded: Floats) -> np.float32:
    """Return the factor of a coded rotated vector whose mean over rotations is what was wanted (EDEN, Theorem 2.1).

    Where all became 0, there is no such factor: it is 0.
    """
    aligned = float(np.einsum("i,i->", wanted, coded, dtype=np.float64))
    energy = float(np.einsum("i,i->", wanted, wanted, dtype=np.float64))
    return np.float32(energy / aligned if aligned > 0 else 0)


def _signs(size: int, seed: Seed) -> list[Floats]:
    flags = np.random.default_rng(seed).integers(0, 2, (2, size), np.int8)
    return list((1 - 2 * flags).astype(np.float32))
