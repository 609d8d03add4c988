"""Draw shaded round shapes, with anti-aliased edges, lit by one lamp and ambient light."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
"""float32; images have the shape (height, width, 3) and values in [0, 1]"""
Point = tuple[float, float]
"""x to the right and y down, in pixels"""
Paint = Callable[[Pixels, Pixels], Pixels]
"""gives the colour, (height, width, 3), at u (across, -1 to 1) and t (along, 0 to 1), both (height, width)"""


@dataclass(frozen=True)
class Light:
    """One lamp and ambient light."""

    towards: tuple[float, float, float]
    """unit vector to the lamp: x right, y down, z to the viewer"""
    ambient: float
    """share of ambient light, 0 to 1"""


@dataclass(frozen=True)
class Canvas:
    """An image in progress; shapes are drawn from far to near."""

    pixels: Pixels
    """shape (height, width, 3)"""
    light: Light
    columns: Pixels = field(init=False)
    rows: Pixels = field(init=False)

    def __post_init__(self) -> None:
        height, width, _ = self.pixels.shape
        object.__setattr__(self, "columns", np.arange(width, dtype=np.float32)[None, :] + np.float32(0.5))
        object.__setattr__(self, "rows", np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5))

    def box(self, low: Point, high: Point) -> tuple[slice, slice] | None:
        """Give the rows and columns between two corners, with a margin of one pixel; None if outside the image."""
        height, width, _ = self.pixels.shape
        left, right = max(int(low[0] - 1), 0), min(int(high[0] + 2), width)
        top, bottom = max(int(low[1] - 1), 0), min(int(high[1] + 2), height)
        return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def draw_limb(canvas: Canvas, start: Point, end: Point, radii: tuple[float, float], colour: Pixels) -> None:
    """Draw a cone with round ends, such as an arm.

    Parameters
    ----------
    canvas : Canvas
        Changed in place.
    start, end : Point
        Centres of the ends.
    radii : (float, float)
        Half-widths at the ends, in pixels.
    colour : ndarray
        shape (3,), float32.
    """
    reach = max(radii)
    low = (min(start[0], end[0]) - reach, min(start[1], end[1]) - reach)
    box = canvas.box(low, (max(start[0], end[0]) + reach, max(start[1], end[1]) + reach))
    if box is None:
        return
    x, y = canvas.columns[:, box[1]] - np.float32(start[0]), canvas.rows[box[0]] - np.float32(start[1])
    dx, dy = end[0] - start[0], end[1] - start[1]
    inverse = 1 / max(dx * dx + dy * dy, 1e-6)
    t = _unit(x * np.float32(dx * inverse) + y * np.float32(dy * inverse))
    radius = np.float32(radii[0]) + np.float32(radii[1] - radii[0]) * t
    x, y = x - np.float32(dx) * t, y - np.float32(dy) * t
    coverage = _unit(radius - np.sqrt(x * x + y * y) + np.float32(0.5))
    length = max(float(np.hypot(dx, dy)), 1e-3)
    if length < reach:
        normal = x / radius, y / radius
    else:  # shaded as a cylinder up to its ends, so that two limbs join without a seam
        ax, ay = np.float32(dx / length), np.float32(dy / length)
        across = (y * ax - x * ay) / radius
        normal = across * -ay, across * ax
    _blend(canvas, box, coverage, normal, colour)


def draw_tube(canvas: Canvas, start: Point, end: Point, widths: Pixels, paint: Paint, *, flat: float = 0.0) -> None:
    """Draw a body of revolution with a profile and a painted surface, such as a torso, a head or a skirt.

    Parameters
    ----------
    canvas : Canvas
        Changed in place.
    start, end : Point
        Ends of the axis.
    widths : ndarray
        shape (knots,), float32: half-widths in pixels at equal steps from start to end.
    paint : Paint
        The surface's colour.
    flat : float, default 0
        0 shades a cylinder, 1 a flat board.
    """
    reach = float(widths.max())
    low = (min(start[0], end[0]) - reach, min(start[1], end[1]) - 2)
    box = canvas.box(low, (max(start[0], end[0]) + reach, max(start[1], end[1]) + 2))
    if box is None:
        return
    x, y = canvas.columns[:, box[1]] - np.float32(start[0]), canvas.rows[box[0]] - np.float32(start[1])
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max(float(np.hypot(dx, dy)), 1e-3)
    ax, ay = np.float32(dx / length), np.float32(dy / length)
    along, across = x * ax + y * ay, y * ax - x * ay
    t = along * np.float32(1 / length)
    width = np.interp(t, np.linspace(0, 1, len(widths)), widths).astype(np.float32)
    ends = _unit(np.minimum(along, np.float32(length) - along) + np.float32(0.5))
    coverage = _unit(width - np.abs(across) + np.float32(0.5)) * ends
    u = np.minimum(np.maximum(across / np.maximum(width, np.float32(0.5)), -1), 1)
    bend = np.float32(1 - flat) * u
    _blend(canvas, box, coverage, (bend * -ay, bend * ax), paint(u, _unit(t)))


def _unit(values: Pixels) -> Pixels:
    """Clip to [0, 1]; on small arrays this takes a third of the time of `numpy.clip`."""
    return np.asarray(np.minimum(np.maximum(values, 0), 1))


def _blend(
    canvas: Canvas, box: tuple[slice, slice], coverage: Pixels, normal: tuple[Pixels, Pixels], colour: Pixels
) -> None:
    """Blend a surface with Lambert shading into the image."""
    lx, ly, lz = (np.float32(v) for v in canvas.light.towards)
    ambient = np.float32(canvas.light.ambient)
    nx, ny = normal
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0))
    lit = ambient + (1 - ambient) * np.maximum(nx * lx + ny * ly + nz * lz, 0)
    region = canvas.pixels[box]
    change = colour * lit[..., None]
    change -= region
    change *= coverage[..., None]
    region += change
