"""A camera: its view, its background, its light, and the effects of its lens and sensor."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from fedretina.reid.rendering.canvas import Light, Pixels
from fedretina.reid.rendering.scene import draw_scene
from fedretina.reid.rendering.styles import Style

HEIGHT, WIDTH = 128, 64
"""size of a pedestrian's image in pixels"""

_LEVELS, _BRIGHTEST = 1024, 1.6


@dataclass(frozen=True)
class Camera:
    """The properties that all images of one camera share."""

    scene: Pixels
    """background, wider and higher than an image"""
    light: Light
    shade: float
    """darkness of a pedestrian's shadow"""
    heading: float
    """yaw of most pedestrians in radians; the others walk in the opposite direction"""
    height: float
    """an average pedestrian's height in pixels"""
    pitch: float
    taper: float
    roll: float
    gain: Pixels
    """shape (3,): of red, green and blue"""
    gamma: float
    contrast: float
    saturation: float
    haze: float
    """light added to black"""
    blur: float
    """Gaussian's standard deviation in pixels"""
    noise: float
    """standard deviation of the sensor's noise"""
    quality: int
    """JPEG quality of the recording"""


def sample_camera(rng: np.random.Generator, style: Style, index: int) -> Camera:
    """Draw the camera number `index` (from 0) of a domain.

    Examples
    --------
    >>> from fedretina.reid.rendering.styles import style_of
    >>> sample_camera(np.random.default_rng(0), style_of("duke"), 0).scene.shape
    (160, 384, 3)
    """
    towards = np.array((rng.uniform(-0.8, 0.8), rng.uniform(-0.8, -0.3), rng.uniform(0.4, 1.0)))
    x, y, z = map(float, towards / np.linalg.norm(towards))
    sun = float(rng.uniform(0.1, 0.5))
    pitch = float(rng.uniform(*style.pitch))
    gain = np.array(style.tint) * np.exp(rng.normal(0, style.cast, 3) + rng.normal(0.12, style.exposure))
    return Camera(
        scene=draw_scene(style.scenes[index % len(style.scenes)], rng),
        light=Light((x, y, z), 1 - sun),
        shade=0.25 + 0.5 * sun,
        heading=float(rng.uniform(-np.pi, np.pi)),
        height=float(rng.uniform(*style.height)) * HEIGHT,
        pitch=pitch,
        taper=float(rng.uniform(0.0, 0.1)) + 0.5 * pitch,
        roll=float(rng.normal(0, 0.03)),
        gain=gain.astype(np.float32),
        gamma=float(np.exp(rng.normal(0, 0.5 * style.exposure))),
        contrast=style.contrast * float(np.exp(rng.normal(0, 0.4 * style.exposure))),
        saturation=style.saturation * float(np.exp(rng.normal(0, 0.6 * style.exposure))),
        haze=float(rng.uniform(0, 0.4 * style.exposure)),
        blur=style.blur * float(rng.uniform(0.4, 1.7)),
        noise=style.noise * float(rng.uniform(0.4, 1.6)),
        quality=int(np.clip(style.quality + rng.normal(0, 8), 30, 95)),
    )


def expose(camera: Camera, pixels: Pixels, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Compute the image that a camera records of a scene.

    Parameters
    ----------
    camera : Camera
        Gives the gains, the response, the blur, the noise and the JPEG quality.
    pixels : ndarray
        shape (height, width, 3), float32, in [0, 1].
    rng : numpy.random.Generator
        Draws the error of the exposure, and the noise.

    Returns
    -------
    ndarray
        The image: the same shape, uint8.
    """
    image = pixels * (camera.gain * np.float32(np.exp(rng.normal(0, 0.06))))
    grey = (image[..., :1] + image[..., 1:2] + image[..., 2:]) / np.float32(3)  # four times as fast as mean()
    image = grey + np.float32(camera.saturation) * (image - grey)
    levels = (np.clip(image, 0, _BRIGHTEST) * np.float32((_LEVELS - 1) / _BRIGHTEST)).astype(np.int32)
    blurred = Image.fromarray(_response(camera)[levels]).filter(ImageFilter.GaussianBlur(camera.blur))
    grain = rng.standard_normal(image.shape[:2], np.float32)[..., None] * np.float32(255 * camera.noise)
    return _record(np.clip(np.asarray(blurred, np.float32) + grain, 0, 255).astype(np.uint8), camera.quality)


def _response(camera: Camera) -> NDArray[np.uint8]:
    """Compute the sensor's response to light, at `_LEVELS` equal steps from 0 to `_BRIGHTEST`."""
    value = np.linspace(0, _BRIGHTEST, _LEVELS) ** camera.gamma
    value = 0.45 + camera.contrast * (value - 0.45)
    value = np.tanh(value) * 1.18  # sensors saturate softly
    value = camera.haze + (1 - camera.haze) * value
    return (np.clip(value, 0, 1) * 255 + 0.5).astype(np.uint8)


def _record(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Compress and decompress with JPEG, as the camera's recorder does."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
