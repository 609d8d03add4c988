"""Backgrounds: a ground in perspective, and the objects behind it. One is drawn per camera and cropped for every image."""

import numpy as np
from PIL import Image, ImageDraw

from fedretina.reid.rendering.canvas import Pixels

HEIGHT, WIDTH = 160, 384
"""size of a scene in pixels; a pedestrian's box is a crop of it"""

_WALLS = (
    (0.62, 0.42, 0.34),
    (0.72, 0.68, 0.6),
    (0.58, 0.6, 0.63),
    (0.8, 0.77, 0.72),
    (0.5, 0.47, 0.44),
    (0.66, 0.58, 0.45),
)
_PAVINGS = ((0.62, 0.6, 0.57), (0.7, 0.64, 0.56), (0.55, 0.56, 0.58), (0.66, 0.55, 0.49))
_CARS = ((0.75, 0.76, 0.78), (0.2, 0.22, 0.26), (0.55, 0.13, 0.13), (0.2, 0.3, 0.5), (0.9, 0.9, 0.88))


def draw_scene(kind: str, rng: np.random.Generator) -> Pixels:
    """Draw a background.

    Parameters
    ----------
    kind : str
        One of `fedretina.reid.rendering.styles.SCENES`.
    rng : numpy.random.Generator
        Draws colours, sizes and positions.

    Returns
    -------
    ndarray
        shape (HEIGHT, WIDTH, 3), float32, in [0, 1].

    Examples
    --------
    >>> draw_scene("lawn", np.random.default_rng(0)).shape
    (160, 384, 3)
    """
    foot = int(rng.uniform(0.3, 0.62) * HEIGHT)  # row where the wall meets the ground
    horizon = foot - int(rng.uniform(18, 70))
    image = np.empty((HEIGHT, WIDTH, 3), np.float32)
    across, away = _ground_coordinates(foot, horizon)
    if kind == "lawn":
        image[:foot], image[foot:] = _park(rng, foot), _grass(rng, across, away)
    elif kind == "corridor":
        image[:foot], image[foot:] = _panels(rng, foot), _tiles(rng, across, away, gloss=0.35)
    elif kind == "plaza":
        image[:foot], image[foot:] = _facade(rng, foot), _tiles(rng, across, away, gloss=0.0)
    else:
        image[:foot], image[foot:] = _facade(rng, foot), _road(rng, across, away)
        image = _parked_cars(rng, image, foot)
    edge = np.clip(1 - np.abs(np.arange(HEIGHT) - foot) / 6, 0, 1)[:, None, None]
    image *= 1 - 0.25 * edge  # objects are darker at the ground
    return np.clip(image * (1 + 0.05 * noise(rng, (HEIGHT, WIDTH), 24)[..., None]), 0, 1).astype(np.float32)


def noise(rng: np.random.Generator, shape: tuple[int, int], cell: int) -> Pixels:
    """Draw smooth noise of unit variance whose bumps are about `cell` pixels wide."""
    coarse = rng.standard_normal((shape[0] // cell + 3, shape[1] // cell + 3)).astype(np.float32)
    smooth = Image.fromarray(coarse).resize((coarse.shape[1] * cell, coarse.shape[0] * cell), Image.Resampling.BICUBIC)
    return np.asarray(smooth)[cell : cell + shape[0], cell : cell + shape[1]] * np.float32(1.4)


def _ground_coordinates(foot: int, horizon: int) -> tuple[Pixels, Pixels]:
    """Compute the approximate position of every pixel of the ground: metres to the right, and metres away."""
    rows = np.arange(foot, HEIGHT, dtype=np.float32)[:, None]
    away = 180 / (rows - horizon)
    across = (np.arange(WIDTH, dtype=np.float32)[None, :] - WIDTH / 2) * away / 110
    return np.asarray(across, np.float32), np.asarray(np.broadcast_to(away, across.shape), np.float32)


def _pick(rng: np.random.Generator, colours: tuple[tuple[float, float, float], ...]) -> Pixels:
    return np.asarray(np.array(colours[int(rng.integers(len(colours)))]) + rng.normal(0, 0.03, 3), np.float32)


def _lines(coordinate: Pixels, period: float, width: float) -> Pixels:
    """Compute thin periodic lines (1 on a line), which fade where they are finer than a pixel."""
    phase = coordinate / period
    step = np.abs(np.gradient(phase, axis=0)) + np.abs(np.gradient(phase, axis=1))
    near = np.abs(phase - np.round(phase))
    return np.asarray(
        np.clip((width / 2 + step / 2 - near) / np.maximum(step, 1e-3), 0, 1) * np.clip(1 - 1.5 * step, 0, 1),
        np.float32,
    )


def _tiles(rng: np.random.Generator, across: Pixels, away: Pixels, *, gloss: float) -> Pixels:
    colour, turn, period = _pick(rng, _PAVINGS), rng.uniform(-0.5, 0.5), rng.uniform(0.5, 1.1)
    x, z = across * np.cos(turn) + away * np.sin(turn), away * np.cos(turn) - across * np.sin(turn)
    grout = np.maximum(_lines(x, period, 0.06), _lines(z, period, 0.06))
    tone = 1 + 0.05 * np.sin(np.round(x / period) * 12.9 + np.round(z / period) * 78.2)
    shine = gloss * np.exp(-(((np.arange(len(x))[:, None] - 8) / 25.0) ** 2))
    value = colour * (tone * (1 - 0.25 * grout))[..., None] + shine[..., None]
    return np.asarray(value * (1 + 0.03 * noise(rng, x.shape, 3))[..., None], np.float32)


def _road(rng: np.random.Generator, across: Pixels, away: Pixels) -> Pixels:
    """Draw a pavement before the wall, a kerb, and asphalt with a white line."""
    slabs = _tiles(rng, across, away, gloss=0.0)
    asphalt = np.full_like(slabs, rng.uniform(0.3, 0.42)) * (1 + 0.06 * noise(rng, across.shape, 2))[..., None]
    kerb = np.quantile(away, rng.uniform(0.35, 0.75)) + across * rng.uniform(-0.12, 0.12)
    road = np.clip((kerb - away) * 12, 0, 1)[..., None]
    stone = np.clip(1 - np.abs(kerb - away) * 8, 0, 1)[..., None]
    line = np.clip(1 - np.abs(kerb - away - 0.7) * 14, 0, 1)[..., None]
    ground = slabs + road * (asphalt - slabs)
    return np.asarray(ground + 0.8 * stone * (0.72 - ground) + 0.7 * line * (0.88 - ground), np.float32)


def _grass(rng: np.random.Generator, across: Pixels, away: Pixels) -> Pixels:
    """Draw grass with a path."""
    green = np.array((0.34, 0.5, 0.22), np.float32) * rng.uniform(0.8, 1.2)
    blades = 1 + 0.13 * noise(rng, across.shape, 2) + 0.1 * noise(rng, across.shape, 12)
    middle = rng.uniform(-1, 1) + rng.uniform(-0.9, 0.9) * away
    path = np.clip((rng.uniform(0.6, 1.1) - np.abs(across - middle)) * 10, 0, 1)[..., None]
    sand = _pick(rng, _PAVINGS) * (1 + 0.04 * noise(rng, across.shape, 3))[..., None]
    lawn = green * blades[..., None]
    return np.asarray(lawn + path * (sand - lawn), np.float32)


def _facade(rng: np.random.Generator, foot: int) -> Pixels:
    """Draw a wall of brick or plaster, with windows and doors."""
    colour = _pick(rng, _WALLS)
    x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(foot, 0, -1, dtype=np.float32))
    brick = np.maximum(_lines(y, 5, 0.2), _lines(x + 6 * (y // 5 % 2), 12, 0.08)) if rng.random() < 0.5 else np.zeros_like(x)
    wall = colour * (1 - 0.18 * brick + 0.04 * noise(rng, x.shape, 10))[..., None]
    wall *= (0.85 + 0.15 * np.clip(y / 12, 0, 1))[..., None]
    period, wide, sill = rng.uniform(50, 110), rng.uniform(0.35, 0.65), rng.uniform(0, 30)
    phase = (x + rng.uniform(0, 99)) % period / period
    frame = (np.abs(phase - 0.5) < wide / 2) & (y > sill)
    glass = (np.abs(phase - 0.5) < wide / 2 - 2.5 / period) & (y > sill + 2) & (np.abs(phase - 0.5) > 1 / period)
    trim = _pick(rng, ((0.85, 0.85, 0.83), (0.3, 0.3, 0.32), (0.45, 0.33, 0.25)))
    sky = np.array((0.3, 0.38, 0.45), np.float32) + 0.25 * np.sin(x / 23 + y / 9)[..., None] * rng.uniform(0.2, 0.5)
    wall = np.where(frame[..., None], trim, wall)
    return np.asarray(np.where(glass[..., None], sky, wall), np.float32)


def _panels(rng: np.random.Generator, foot: int) -> Pixels:
    """Draw the wall of a corridor: two tones, a skirting board, doors."""
    upper, lower = _pick(rng, ((0.85, 0.83, 0.78), (0.78, 0.82, 0.84), (0.84, 0.8, 0.66))), _pick(rng, _WALLS)
    x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(foot, 0, -1, dtype=np.float32))
    rail = rng.uniform(18, 45)
    wall = np.where((y < rail)[..., None], lower, upper) * (1 - 0.2 * (np.abs(y - rail) < 1.2))[..., None]
    period = rng.uniform(80, 140)
    phase = (x + rng.uniform(0, 99)) % period
    door = _pick(rng, ((0.5, 0.34, 0.22), (0.35, 0.42, 0.46), (0.6, 0.2, 0.18), (0.75, 0.75, 0.72)))
    wall = np.where((np.abs(phase - 40) < 24)[..., None], upper * 0.7, wall)
    wall = np.where((np.abs(phase - 40) < 21)[..., None], door * (1 - 0.15 * (np.abs(phase - 40) < 1))[..., None], wall)
    wall = np.where((y < 4)[..., None], lower * 0.55, wall)
    lamp = 0.12 * np.cos((x + rng.uniform(0, 99)) * 2 * np.pi / rng.uniform(90, 160))
    return np.asarray(wall * (1 + lamp)[..., None], np.float32)


def _park(rng: np.random.Generator, foot: int) -> Pixels:
    """Draw sky, trees and a hedge."""
    y = np.linspace(0, 1, foot, dtype=np.float32)[:, None, None]
    image = np.array((0.7, 0.8, 0.9), np.float32) * (0.9 + 0.15 * y) * np.ones((1, WIDTH, 1), np.float32)
    green = np.array((0.22, 0.36, 0.17), np.float32) * rng.uniform(0.8, 1.3)
    leaves = 1 + 0.25 * noise(rng, (foot, WIDTH), 4) + 0.15 * noise(rng, (foot, WIDTH), 14)
    crown = noise(rng, (foot, WIDTH), 34)[..., None] + 2.2 * (y - rng.uniform(0.1, 0.5))
    canopy = np.clip(crown * 5, 0, 1)
    image += canopy * (green * leaves[..., None] - image)
    for place in rng.uniform(0, WIDTH, 4):
        trunk = np.clip(rng.uniform(3, 6) - np.abs(np.arange(WIDTH) - place), 0, 1)[None, :, None] * (y > 0.3)
        image += trunk * (np.array((0.3, 0.23, 0.18)) - image)
    hedge = np.clip((y - rng.uniform(0.6, 0.95)) * 30, 0, 1)
    return np.asarray(image + hedge * (green * 0.75 * leaves[..., None] - image), np.float32)


def _parked_cars(rng: np.random.Generator, image: Pixels, foot: int) -> Pixels:
    """Draw up to two cars along the wall."""
    picture = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8)).resize((2 * WIDTH, 2 * HEIGHT))
    pen = ImageDraw.Draw(picture)
    for place in rng.uniform(0, 2 * WIDTH, int(rng.integers(0, 3))):
        red, green, blue = (int(255 * v) for v in _CARS[int(rng.integers(len(_CARS)))])
        body, x, y = (red, green, blue), int(place), 2 * foot + 8
        pen.ellipse((x - 20, y - 4, x + 220, y + 12), fill=(45, 45, 48))
        pen.polygon([(x + 40, y - 40), (x + 66, y - 72), (x + 136, y - 72), (x + 168, y - 40)], fill=body)
        pen.polygon([(x + 50, y - 42), (x + 70, y - 67), (x + 98, y - 67), (x + 98, y - 42)], fill=(58, 70, 80))
        pen.polygon([(x + 104, y - 42), (x + 104, y - 67), (x + 132, y - 67), (x + 156, y - 42)], fill=(58, 70, 80))
        pen.rounded_rectangle((x, y - 42, x + 200, y - 8), 14, fill=body)
        for wheel in (x + 44, x + 156):
            pen.ellipse((wheel - 19, y - 26, wheel + 19, y + 8), fill=(28, 28, 30))
            pen.ellipse((wheel - 9, y - 17, wheel + 9, y - 1), fill=(150, 152, 156))
    return np.asarray(picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX), np.float32) * np.float32(1 / 255)
