"""Surfaces of clothes and heads: colours over (azimuth, t), which rotate with the body.

The azimuth is 0 in front, pi / 2 at the person's left and pi at the back; t runs from the lower end to the upper.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from fedretina.reid.rendering.canvas import Paint, Pixels
from fedretina.reid.rendering.person import RGB, Person


def rotate_surface(surface: Callable[[Pixels, Pixels], Pixels], yaw: float) -> Paint:
    """Rotate a surface over (azimuth, t) around the vertical axis, and give it as a paint over (u, t) for the camera."""

    def paint(u: Pixels, t: Pixels) -> Pixels:
        azimuth = np.arcsin(u) - np.float32(yaw)
        return surface((azimuth + np.float32(np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi), t)

    return paint


def plain(colour: RGB) -> Paint:
    """Make a paint of one colour."""
    value = np.array(colour, np.float32)
    return lambda u, t: np.broadcast_to(value, (*u.shape, 3))


def clothes_surface(person: Person) -> Callable[[Pixels, Pixels], Pixels]:
    """Make the surface of the upper clothes, with pattern, open front and straps."""

    def surface(azimuth: Pixels, t: Pixels) -> Pixels:
        top = person.top
        colours = _mix(
            np.array(top.colour, np.float32),
            np.array(top.accent, np.float32),
            _PATTERNS[top.pattern](azimuth, t, top.scale),
        )
        if top.is_open:
            front = _below(np.abs(azimuth), np.float32(0.22) + np.float32(0.3) * t, 0.12)
            colours = _mix(colours, np.array(top.accent, np.float32), front)
        return _straps(person, colours, azimuth, t)

    return surface


def head_surface(person: Person) -> Callable[[Pixels, Pixels], Pixels]:
    """Make the surface of the head: face, eyes, beard, hair or cap."""
    body = person.body
    line = {"bald": 1.2, "cap": 0.62}.get(body.hairstyle, 0.76)
    fall = {"bald": 0.75, "cap": 0.1, "short": 0.6}.get(body.hairstyle, 0.85)
    colour = person.top.accent if body.hairstyle == "cap" else body.hair

    def surface(azimuth: Pixels, t: Pixels) -> Pixels:
        colours = np.broadcast_to(np.array(body.skin, np.float32), (*t.shape, 3))
        away = np.abs(azimuth)
        eyes = _below(np.abs(away - 0.42), 0.17, 0.12) * _below(np.abs(t - 0.52), 0.06, 0.05)
        colours = _mix(colours, np.array((0.12, 0.09, 0.08), np.float32), np.float32(0.75) * eyes)
        if body.beard:
            chin = np.float32(0.8) * _below(t, 0.32, 0.1) * _below(away, 1.5, 0.3)
            colours = _mix(colours, np.array(body.hair, np.float32), chin)
        temple = np.clip((away - 0.7) / 1.2, 0, 1)
        return _mix(colours, np.array(colour, np.float32), _below(line - fall * temple, t, 0.08))

    return surface


def _hoops(azimuth: Pixels, t: Pixels, scale: float) -> Pixels:
    return _waves(t * np.float32(30 / scale))


def _stripes(azimuth: Pixels, t: Pixels, scale: float) -> Pixels:
    return _waves(azimuth * np.float32(round(9 / scale)))


def _checks(azimuth: Pixels, t: Pixels, scale: float) -> Pixels:
    return np.float32(0.5) * (_hoops(azimuth, t, scale) + _stripes(azimuth, t, scale))


def _yoke(azimuth: Pixels, t: Pixels, scale: float) -> Pixels:
    return _below(0.78 - 0.13 * scale, t, 0.03)


def _logo(azimuth: Pixels, t: Pixels, scale: float) -> Pixels:
    return _below(np.hypot(azimuth / 0.55, (t - 0.6) / 0.14), 0.6 + 0.4 * scale, 0.15)


def _halves(azimuth: Pixels, t: Pixels, scale: float) -> Pixels:
    return _below(np.abs(np.abs(azimuth) - np.pi / 2), 0.5 * scale, 0.08)


_PATTERNS: dict[str, Callable[[Pixels, Pixels, float], Pixels]] = {
    "plain": lambda azimuth, t, scale: np.zeros_like(t),
    "hoops": _hoops,
    "stripes": _stripes,
    "yoke": _yoke,
    "logo": _logo,
    "checks": _checks,
    "halves": _halves,
}
"""The share of the accent colour, in [0, 1], by pattern."""


def _straps(person: Person, colours: Pixels, azimuth: Pixels, t: Pixels) -> Pixels:
    bag = person.bag
    colour = np.array(bag.colour, np.float32) * np.float32(0.8)
    if bag.kind == "backpack":
        band = _below(np.abs(np.abs(azimuth) - 0.62), 0.16, 0.08) * _below(0.35, t, 0.05)
        return _mix(colours, colour, band)
    if bag.kind == "shoulder":  # from the opposite shoulder across chest and back to the hip on the bag's side
        middle = np.float32(0.5) - np.float32(0.42 * bag.side) * np.sin(azimuth)
        return _mix(colours, colour, _below(np.abs(t - middle), 0.05, 0.03))
    return colours


def _waves(phase: Pixels) -> Pixels:
    """Compute bands of equal width with soft edges."""
    return np.asarray(np.clip(np.sin(phase) * np.float32(2.5) + np.float32(0.5), 0, 1), np.float32)


def _below(value: ArrayLike, edge: ArrayLike, soft: float) -> Pixels:
    """Compute 1 where value < edge and 0 elsewhere, with a ramp of width `soft` between."""
    return np.asarray(np.clip(np.subtract(edge, value) * np.float32(1 / soft) + np.float32(0.5), 0, 1), np.float32)


def _mix(first: Pixels, second: Pixels, share: Pixels) -> Pixels:
    """Blend colours: share 0 is the first, 1 the second."""
    return first + share[..., None] * (second - first)
