"""The style of a domain: the statistics of its people, clothes, backgrounds and cameras.

Four styles are built in, loosely after the data sets of these names. The style of any other domain is derived from a hash of
its name, so every machine renders the same domain for the same name.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

SCENES = ("street", "plaza", "corridor", "lawn")
"""The kinds of background that `fedretina.reid.rendering.scene` draws."""


Weights = tuple[float, float, float, float]
"""weights of dark, muted, bright and light colours; any positive sum"""


@dataclass(frozen=True)
class Style:
    """The statistics of a domain; every fraction is in [0, 1]."""

    cameras: int
    """number of cameras"""
    scenes: tuple[str, ...]
    """kinds of background, assigned to the cameras in turn"""
    upper: Weights
    """colours above the waist"""
    lower: Weights
    """colours below the waist"""
    warmth: float
    """fraction dressed for winter: coats and long sleeves instead of T-shirts, shorts and skirts"""
    patterned: float
    """fraction whose upper clothes have a pattern"""
    backpacks: float
    """fraction with a backpack"""
    bags: float
    """fraction of the rest with a shoulder bag or a handbag"""
    tint: tuple[float, float, float]
    """gain of red, green and blue that all cameras share"""
    cast: float
    """standard deviation over cameras of the logarithmic gain per colour"""
    exposure: float
    """standard deviation over cameras of the logarithmic gain of all colours; their responses differ in proportion"""
    contrast: float
    """slope of the response around middle grey; 1 is neutral"""
    saturation: float
    """1 is neutral, 0 is grey"""
    blur: float
    """mean over cameras of the Gaussian's standard deviation in pixels of a 128 x 64 image"""
    noise: float
    """mean over cameras of the standard deviation of the sensor's noise"""
    quality: int
    """JPEG quality of the camera's own recording, before the image is saved"""
    height: tuple[float, float]
    """range over cameras of a pedestrian's height as a fraction of the image's"""
    shift: float
    """standard deviation of the box's misplacement as a fraction of its width"""
    pitch: tuple[float, float]
    """range over cameras of the angle at which they look down, in radians"""
    occlusion: float
    """fraction of images in which an object hides a part of the pedestrian"""


BUILT_IN: dict[str, Style] = {
    "duke": Style(
        cameras=6, scenes=("plaza", "lawn", "street"), upper=(3.5, 3, 1.5, 1.5), lower=(3, 3, 0.8, 1), warmth=0.7,
        patterned=0.4, backpacks=0.5, bags=0.3, tint=(0.96, 1.0, 1.06), cast=0.075, exposure=0.15, contrast=0.95,
        saturation=0.85, blur=0.6, noise=0.018, quality=75, height=(0.8, 0.92), shift=0.06, pitch=(0.1, 0.4),
        occlusion=0.23,
    ),
    "msmt17": Style(
        cameras=8, scenes=("corridor", "street", "plaza"), upper=(2.5, 2.5, 3, 2.5), lower=(3, 4, 1, 1), warmth=0.5,
        patterned=0.45, backpacks=0.3, bags=0.35, tint=(1.05, 1.0, 0.93), cast=0.05, exposure=0.1, contrast=1.1,
        saturation=0.95, blur=0.4, noise=0.014, quality=80, height=(0.78, 0.92), shift=0.05, pitch=(0.0, 0.3),
        occlusion=0.15,
    ),
    "cuhk03": Style(
        cameras=4, scenes=("corridor", "plaza"), upper=(1.5, 2, 2, 4), lower=(3, 5, 0.6, 1.2), warmth=0.2,
        patterned=0.4, backpacks=0.3, bags=0.45, tint=(1.03, 1.03, 0.92), cast=0.04, exposure=0.08, contrast=0.85,
        saturation=0.8, blur=0.6, noise=0.016, quality=70, height=(0.88, 0.98), shift=0.05, pitch=(0.2, 0.4),
        occlusion=0.08,
    ),
    "market1501": Style(
        cameras=6, scenes=("street", "plaza"), upper=(1, 1.5, 4, 4), lower=(3, 3, 1.2, 1), warmth=0.05,
        patterned=0.5, backpacks=0.25, bags=0.4, tint=(1.06, 1.0, 0.96), cast=0.05, exposure=0.1, contrast=1.25,
        saturation=1.15, blur=0.35, noise=0.01, quality=85, height=(0.86, 0.96), shift=0.06, pitch=(0.0, 0.2),
        occlusion=0.1,
    ),
}  # fmt: skip
"""The built-in styles by the name of the domain."""


def style_of(name: str) -> Style:
    """Look up a domain's style, or derive one from the name.

    Examples
    --------
    >>> style_of("duke").cameras
    6
    >>> style_of("harbour") == style_of("harbour"), style_of("harbour") == style_of("airport")
    (True, False)
    """
    return BUILT_IN.get(name) or _derive(name)


def seed_of(*parts: object) -> list[int]:
    """Derive a seed for `numpy.random.default_rng` from words and numbers, equal on every machine."""
    digest = hashlib.blake2s("\0".join(map(str, parts)).encode()).digest()
    return [int(word) for word in np.frombuffer(digest[:16], dtype="<u4")]


def _derive(name: str) -> Style:
    """Draw a style, in ranges similar to those of the built-in styles."""
    rng = np.random.default_rng(seed_of("style", name))
    scenes = tuple(SCENES[i] for i in rng.permutation(len(SCENES))[:3])
    dark, muted, bright, light = map(float, rng.uniform(0.5, 4, 4))
    height, pitch = float(rng.uniform(0.78, 0.88)), float(rng.uniform(0.0, 0.2))
    red, blue = map(float, rng.uniform(0.93, 1.07, 2))
    return Style(
        cameras=int(rng.integers(4, 9)), scenes=scenes, upper=(dark, muted, 0.8 * bright, light),
        lower=(1 + dark, 1 + muted, 0.25 * bright, 0.4 * light),
        warmth=float(rng.uniform(0.1, 0.8)), patterned=float(rng.uniform(0.3, 0.5)),
        backpacks=float(rng.uniform(0.2, 0.5)), bags=float(rng.uniform(0.3, 0.5)), tint=(red, 1.0, blue),
        cast=float(rng.uniform(0.03, 0.05)), exposure=float(rng.uniform(0.06, 0.1)),
        contrast=float(rng.uniform(0.85, 1.25)), saturation=float(rng.uniform(0.8, 1.15)),
        blur=float(rng.uniform(0.35, 0.6)), noise=float(rng.uniform(0.01, 0.016)), quality=int(rng.integers(70, 90)),
        height=(height, height + 0.1), shift=float(rng.uniform(0.05, 0.07)), pitch=(pitch, pitch + 0.3),
        occlusion=float(rng.uniform(0.08, 0.15)),
    )  # fmt: skip
