"""Render a photo of a pedestrian: background, shadow, figure and occlusions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedretina.reid.rendering.camera import HEIGHT, WIDTH, Camera, expose
from fedretina.reid.rendering.canvas import Canvas, Pixels, Point, draw_limb, draw_tube
from fedretina.reid.rendering.figure import Figure, Pose, View
from fedretina.reid.rendering.garments import plain
from fedretina.reid.rendering.person import Person, sample_person
from fedretina.reid.rendering.styles import Style

_AVERAGE = 1.73  # metres: a person of this height has exactly the camera's `height`


@dataclass(frozen=True)
class Tracklet:
    """The properties that all images of one person by one camera share."""

    yaw: float
    position: float
    """position in the scene, from 0 at the left to 1 at the right"""
    light: float
    """brightness relative to the rest of the scene"""


def sample_tracklet(rng: np.random.Generator, camera: Camera) -> Tracklet:
    """Draw a tracklet: most people walk along the camera's heading or against it, some cross."""
    turn = rng.uniform(-np.pi, np.pi) if rng.random() < 0.2 else np.pi * float(rng.integers(2)) + rng.normal(0, 0.3)
    return Tracklet(camera.heading + float(turn), float(rng.random()), float(np.exp(rng.normal(0, 0.1))))


def photograph(
    person: Person, tracklet: Tracklet, *, camera: Camera, style: Style, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Render one image.

    Returns
    -------
    ndarray
        shape (HEIGHT, WIDTH, 3), uint8.
    """
    canvas = Canvas(_background(camera, tracklet, rng) * np.float32(tracklet.light), camera.light)
    centre = WIDTH / 2 + rng.normal(0, style.shift * WIDTH), HEIGHT * 0.5 + rng.normal(0, 0.5 * style.shift * WIDTH)
    blocked = rng.random() < style.occlusion
    has_passer = bool(blocked and rng.random() < 0.35)
    in_front = has_passer and rng.random() < 0.5
    side = float(rng.choice((-1, 1))) * rng.uniform(0.3, 0.5) * WIDTH
    other = (centre[0] + side, centre[1] + (4 if in_front else -4))
    if has_passer and not in_front:
        _draw_person(canvas, sample_person(rng, style), tracklet=tracklet, camera=camera, centre=other, rng=rng)
    _draw_person(canvas, person, tracklet=tracklet, camera=camera, centre=centre, rng=rng)
    if in_front:
        _draw_person(canvas, sample_person(rng, style), tracklet=tracklet, camera=camera, centre=other, rng=rng)
    elif blocked and not has_passer:
        _OBSTACLES[int(rng.integers(len(_OBSTACLES)))](canvas, rng)
    return expose(camera, canvas.pixels, rng)


def _background(camera: Camera, tracklet: Tracklet, rng: np.random.Generator) -> Pixels:
    """Crop the scene at the person's position."""
    height, width, _ = camera.scene.shape
    left = int(np.clip(tracklet.position * (width - WIDTH) + rng.normal(0, 12), 0, width - WIDTH))
    top = int(np.clip((height - HEIGHT) / 2 + rng.normal(0, 6), 0, height - HEIGHT))
    return camera.scene[top : top + HEIGHT, left : left + WIDTH]


def _draw_person(
    canvas: Canvas, person: Person, *, tracklet: Tracklet, camera: Camera, centre: Point, rng: np.random.Generator
) -> None:
    """Draw a person and the shadow at the feet."""
    scale = camera.height * person.body.height / _AVERAGE
    feet = centre[0] - camera.roll * camera.height / 2, centre[1] + camera.height * 0.5
    pose = Pose(tracklet.yaw + float(rng.normal(0, 0.15)), float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.25, 0.6)))
    _shade(canvas, feet, scale, camera)
    Figure(person, pose, View(scale, feet, camera.pitch, camera.taper, camera.roll)).draw(canvas)


def _shade(canvas: Canvas, feet: tuple[float, float], scale: float, camera: Camera) -> None:
    """Darken the ground: an ellipse under the feet, longer on the side away from the lamp."""
    reach, flat = 0.3 * scale, 0.16 + 0.3 * np.sin(camera.pitch)
    x, y = (canvas.columns - feet[0]) / reach, (canvas.rows - feet[1]) / (reach * flat)
    x = x + 0.9 * camera.light.towards[0] * np.clip(np.abs(x), 0, 1)
    dark = np.clip(1.2 * (1 - np.sqrt(x * x + y * y)), 0, 1)
    canvas.pixels[:] *= 1 - np.float32(camera.shade) * dark.astype(np.float32)[..., None]


def _draw_pole(canvas: Canvas, rng: np.random.Generator) -> None:
    x, grey = float(rng.uniform(6, WIDTH - 6)), float(rng.uniform(0.2, 0.6))
    widths = np.full(2, rng.uniform(2, 5), np.float32)
    draw_tube(canvas, (x, HEIGHT + 2), (x + float(rng.normal(0, 2)), -2), widths, plain((grey, grey, grey)))


def _draw_bush(canvas: Canvas, rng: np.random.Generator) -> None:
    top, middle = HEIGHT * rng.uniform(0.66, 0.85), rng.uniform(0, WIDTH)
    for _ in range(24):
        x, y = float(middle + rng.normal(0, 14)), float(top + abs(rng.normal(0, 18)) + 4)
        green = np.array((0.22, 0.38, 0.16)) * rng.uniform(0.6, 1.4)
        draw_limb(canvas, (x, y), (x, y + 1), (float(rng.uniform(4, 8)),) * 2, green.astype(np.float32))


def _draw_car(canvas: Canvas, rng: np.random.Generator) -> None:
    y, colour = HEIGHT * float(rng.uniform(0.8, 0.92)), rng.uniform(0.15, 0.85) + rng.normal(0, 0.08, 3)
    side = float(rng.choice((-1, 1)))
    start, end = (WIDTH / 2 - side * 10, y + 26), (WIDTH / 2 + side * 60, y + 14)
    draw_limb(canvas, start, end, (24.0, 34.0), np.clip(colour, 0, 1).astype(np.float32))
    draw_limb(canvas, (start[0], y + 16), (start[0], y + 17), (4.0, 4.0), np.array((0.95, 0.93, 0.8), np.float32))


def _draw_bin(canvas: Canvas, rng: np.random.Generator) -> None:
    x, y = float(rng.uniform(0, WIDTH)), HEIGHT * float(rng.uniform(0.6, 0.78))
    red, green, blue = (float(v) for v in rng.uniform(0.2, 0.6, 3))
    draw_tube(canvas, (x, HEIGHT + 4.0), (x, y), np.linspace(10, 13, 5).astype(np.float32), plain((red, green, blue)))


_OBSTACLES = (_draw_pole, _draw_bush, _draw_car, _draw_bin)
