"""A pedestrian: body, hair, clothes, shoes, bag and gait, drawn from a domain's statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedretina.reid.rendering.styles import Style, Weights

RGB = tuple[float, float, float]
"""red, green, blue in [0, 1]"""

COLOURS: tuple[tuple[RGB, ...], ...] = (
    ((0.12, 0.12, 0.13), (0.22, 0.23, 0.25), (0.12, 0.16, 0.3), (0.26, 0.18, 0.14), (0.14, 0.23, 0.18),
     (0.36, 0.11, 0.15)),
    ((0.5, 0.51, 0.53), (0.61, 0.54, 0.38), (0.27, 0.38, 0.58), (0.42, 0.44, 0.26), (0.59, 0.44, 0.41),
     (0.37, 0.49, 0.51)),
    ((0.81, 0.16, 0.16), (0.14, 0.33, 0.78), (0.93, 0.78, 0.2), (0.17, 0.6, 0.29), (0.93, 0.48, 0.15),
     (0.48, 0.22, 0.62), (0.91, 0.35, 0.59)),
    ((0.94, 0.94, 0.93), (0.92, 0.86, 0.74), (0.78, 0.8, 0.82), (0.63, 0.78, 0.91), (0.93, 0.76, 0.78),
     (0.72, 0.88, 0.78)),
)  # fmt: skip
"""dark, muted, bright and light colours of clothes, in the order of `Weights`"""
SKINS: tuple[RGB, ...] = (
    (0.95, 0.79, 0.68), (0.88, 0.68, 0.54), (0.74, 0.53, 0.39), (0.55, 0.37, 0.26), (0.37, 0.25, 0.19)
)  # fmt: skip
HAIRS: tuple[RGB, ...] = (
    (0.09, 0.08, 0.08), (0.2, 0.13, 0.09), (0.37, 0.24, 0.14), (0.8, 0.63, 0.36), (0.6, 0.26, 0.12), (0.72, 0.72, 0.72)
)  # fmt: skip
HAIRSTYLES = ("short", "bald", "cap", "long", "bun", "ponytail")
PATTERNS = ("hoops", "stripes", "yoke", "logo", "checks", "halves")


@dataclass(frozen=True)
class Body:
    """Body, hair and gait. Lengths, here and below, are fractions of the height."""

    height: float
    """metres"""
    build: float
    """width relative to the average"""
    curves: float
    """0: shoulders wider than hips; 1: the reverse"""
    skin: RGB
    hair: RGB
    hairstyle: str
    """one of `HAIRSTYLES`"""
    beard: bool
    stride: float
    """largest angle of the thighs, in radians"""
    lean: float
    """forward lean in radians"""


@dataclass(frozen=True)
class Top:
    """Clothes above the waist."""

    colour: RGB
    accent: RGB
    """second colour: of a pattern, of the shirt under an open jacket, of the cap"""
    pattern: str
    """"plain" or one of `PATTERNS`"""
    scale: float
    """width of a pattern's bands, relative to the average"""
    sleeves: float
    """length: about 0.45 for a T-shirt, 1 for the wrist"""
    is_open: bool
    """whether it is an open jacket, which shows the accent in front"""
    hem: float
    """length below the hips: 0.02 for a shirt, 0.2 for a coat"""
    loose: float
    """addition to the body's half-width"""


@dataclass(frozen=True)
class Bottom:
    """Clothes below the waist."""

    kind: str
    """"trousers", "shorts" or "skirt\""""
    colour: RGB
    reach: float
    """length of shorts or a skirt from the hips; 1 is the ankle"""
    flare: float
    """addition to the leg's half-width"""
    shoes: RGB


@dataclass(frozen=True)
class Bag:
    """The bag of a person, if any."""

    kind: str
    """"none", "backpack", "shoulder" or "hand\""""
    colour: RGB
    side: int
    """1 left, -1 right"""


@dataclass(frozen=True)
class Person:
    """The appearance of an identity, equal in all its images."""

    body: Body
    top: Top
    bottom: Bottom
    bag: Bag


def sample_person(rng: np.random.Generator, style: Style) -> Person:
    """Draw the appearance of an identity.

    Examples
    --------
    >>> from fedretina.reid.rendering.styles import style_of
    >>> sample_person(np.random.default_rng(0), style_of("duke")).body.height > 1.4
    True
    """
    body = _sample_body(rng)
    return Person(body, _sample_top(rng, style), _sample_bottom(rng, style, body.curves), _sample_bag(rng, style))


def _sample_body(rng: np.random.Generator) -> Body:
    curves = float(rng.random())
    is_curvy = curves > 0.5
    return Body(
        height=float(rng.normal(1.69 if is_curvy else 1.78, 0.07)),
        build=float(np.exp(rng.normal(0.02, 0.11))),
        curves=curves,
        skin=SKINS[_weighted(rng, (4, 4, 2, 1.5, 1.5))],
        hair=HAIRS[_weighted(rng, (5, 4, 3, 1.5, 0.7, 0.8))],
        hairstyle=HAIRSTYLES[_weighted(rng, (2, 0, 0.5, 4, 1, 2) if is_curvy else (6, 0.6, 1, 1, 0.3, 0.3))],
        beard=bool(rng.random() < 0.25) and not is_curvy,
        stride=float(rng.uniform(0.3, 0.5)),
        lean=float(rng.normal(0.04, 0.03)),
    )


def _sample_top(rng: np.random.Generator, style: Style) -> Top:
    is_warm = bool(rng.random() < style.warmth)
    is_coat = is_warm and bool(rng.random() < 0.35)
    colour = _colour(rng, style.upper)
    return Top(
        colour=colour,
        accent=_contrasting(rng, style, colour),
        pattern=PATTERNS[int(rng.integers(len(PATTERNS)))] if rng.random() < style.patterned else "plain",
        scale=float(rng.uniform(0.7, 1.5)),
        sleeves=1.0 if is_warm or rng.random() < 0.15 else float(rng.choice((0.25, 0.45, 0.45, 0.6))),
        is_open=is_warm and bool(rng.random() < 0.4),
        hem=float(rng.uniform(0.1, 0.24)) if is_coat else float(rng.uniform(0.0, 0.06)),
        loose=float(rng.uniform(0.012, 0.024)) if is_warm else float(rng.uniform(0.002, 0.012)),
    )


def _sample_bottom(rng: np.random.Generator, style: Style, curves: float) -> Bottom:
    is_warm = rng.random() < 0.3 + 0.7 * style.warmth
    bare = "skirt" if curves > 0.5 else "shorts"
    kind = bare if rng.random() < (0.12 if is_warm else 0.65) else "trousers"
    return Bottom(
        kind=kind,
        colour=_colour(rng, style.lower),
        reach=float(rng.uniform(0.32, 0.8) if kind == "skirt" else rng.uniform(0.36, 0.52)),
        flare=float(rng.uniform(0.0, 0.016)),
        shoes=_colour(rng, (5, 2, 1, 3)),
    )


def _sample_bag(rng: np.random.Generator, style: Style) -> Bag:
    kind = "none"
    if rng.random() < style.backpacks:
        kind = "backpack"
    elif rng.random() < style.bags:
        kind = str(rng.choice(("shoulder", "hand")))
    return Bag(kind, _colour(rng, (4, 2, 3, 1)), int(rng.choice((-1, 1))))


def _weighted(rng: np.random.Generator, weights: Sequence[float]) -> int:
    """Draw an index in proportion to weights of any sum."""
    return int(np.searchsorted(np.cumsum(weights), rng.random() * sum(weights), side="right"))


def _colour(rng: np.random.Generator, weights: Weights) -> RGB:
    """Draw the colour of a garment: a group by its weight, a colour of the group, and a random variation."""
    group = COLOURS[_weighted(rng, weights)]
    dyed = np.array(group[int(rng.integers(len(group)))]) + rng.normal(0, 0.025, 3)
    red, green, blue = np.clip(dyed, 0.03, 0.97)
    return float(red), float(green), float(blue)


def _contrasting(rng: np.random.Generator, style: Style, other: RGB) -> RGB:
    """Draw a colour that differs clearly from another one, so that a pattern is visible."""
    for _ in range(20):
        accent = _colour(rng, style.upper)
        if np.abs(np.subtract(accent, other)).sum() > 0.6:
            return accent
    return (0.93, 0.93, 0.92) if sum(other) < 1.5 else (0.12, 0.12, 0.14)
