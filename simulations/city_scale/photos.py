"""Photos of signs: how a district draws them, and how a camera records them."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SIDE, CLASSES = 12, 10
HABIT = 0.9
"""How much a district's signs differ from the city's, relative to how signs differ from each other."""
Pixels = NDArray[np.float32]


@lru_cache(maxsize=256)
def district_signs(seed: int, district: int) -> Pixels:
    """Draw the ten signs as a district draws them, (10, 12, 12)."""
    city, own = np.random.default_rng([seed, 6]), np.random.default_rng([seed, 7, district])
    shared, habits = city.normal(size=(CLASSES, SIDE, SIDE)), own.normal(size=(CLASSES, SIDE, SIDE))
    return np.stack([_smooth(sign + HABIT * habit) for sign, habit in zip(shared, habits, strict=True)])


def shift(signs: Pixels, rng: np.random.Generator) -> Pixels:
    """Move each sign by a pixel or not at all, in both directions."""
    moves = rng.integers(-1, 2, (len(signs), 2))
    moved = np.empty_like(signs)
    for move in np.unique(moves, axis=0):
        chosen = (moves == move).all(1)
        moved[chosen] = np.roll(signs[chosen], move, (1, 2))
    return moved


def expose(images: Pixels, camera: np.random.Generator, rng: np.random.Generator) -> Pixels:
    """Record scenes with a camera: its gain, blur, shading, and noise."""
    gain, blur, noise = np.exp(camera.normal(0, 0.3)), camera.uniform(0, 0.8), camera.uniform(0.6, 1.6)
    shade = camera.normal(0, 0.5) * np.linspace(-1, 1, SIDE)[:, None] + camera.normal(0, 0.3)
    blurred = gaussian_filter(images, (0, blur, blur))
    return (gain * blurred + shade + noise * rng.normal(size=images.shape)).astype(np.float32)


def _smooth(noise: NDArray[np.float64]) -> Pixels:
    smooth = gaussian_filter(noise, 1.2)
    return (smooth / smooth.std()).astype(np.float32)
