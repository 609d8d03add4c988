"""Normalise stored pixels for the network, and augment them as usual in re-identification."""

import math

import torch
from torch import Tensor

from fedretina.errors import BadArgument

# Mean and standard deviation of ImageNet's pixels, which pretrained networks expect.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_SHIFT = 3 / 64  # of the height: 3 pixels at 64 x 32
_ERASE_PROBABILITY, _ERASE_AREA, _ERASE_ASPECT = 0.5, (0.02, 0.2), (0.3, 1 / 0.3)


def to_float(images: Tensor) -> Tensor:
    """Normalise by ImageNet's mean and standard deviation.

    Parameters
    ----------
    images : Tensor of uint8, shape (B, 3, H, W)
        RGB images.

    Returns
    -------
    Tensor of float32, shape (B, 3, H, W)
        The normalised images, on the same device.

    Raises
    ------
    BadArgument
        The shape or the dtype is a different one.

    Examples
    --------
    >>> to_float(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)).flatten()
    tensor([2.2489, 2.4286, 2.6400])
    """
    _require_images(images)
    mean, std = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (_MEAN, _STD))
    return images.float().mul_(1 / (255 * std)).sub_(mean / std)


def augment(images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Flip, shift, normalise and erase each image at random.

    - Horizontal flip with probability 0.5.
    - Random crop after padding with black: 3 pixels at a height of 64, and in proportion at other heights.
    - Random erasing (Zhong et al., AAAI 2020) with probability 0.5: a rectangle of 2 to 20 % of the area and an aspect
      ratio of 0.3 to 3.3 is filled with the mean pixel.

    Parameters
    ----------
    images : Tensor of uint8, shape (B, 3, H, W)
        RGB images.
    generator : torch.Generator
        Source of randomness, on any device. Equal states give equal results.

    Returns
    -------
    Tensor of float32, shape (B, 3, H, W)
        The augmented images, normalised as by `to_float`, on the same device.

    Raises
    ------
    BadArgument
        The shape or the dtype is a different one.

    Examples
    --------
    >>> images = torch.zeros(2, 3, 64, 32, dtype=torch.uint8)
    >>> augment(images, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3, 64, 32])
    """
    _require_images(images)
    count, _, height, width = images.shape
    uniform = torch.rand(7, count, generator=generator, device=generator.device).to(images.device)
    shifted = _flip_and_crop(images, uniform[:3])
    return to_float(shifted).masked_fill_(_rectangles(uniform[3:], height, width), 0.0)


def _require_images(images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise BadArgument(f"Images are {images.dtype} of shape {tuple(images.shape)}: give uint8 of shape (B, 3, H, W).")


def _flip_and_crop(images: Tensor, uniform: Tensor) -> Tensor:
    """Gather every pixel from its position in the padded image; uniform: random numbers in [0, 1), (3, B)."""
    height, width = images.shape[2:]
    pad = round(_SHIFT * height)
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    top, left = (uniform[:2] * (2 * pad + 1)).long().unsqueeze(-1)
    rows = top + torch.arange(height, device=images.device)
    columns = left + torch.arange(width, device=images.device)
    columns = torch.where(uniform[2, :, None] < 0.5, columns.flip(1), columns)
    source = rows[:, :, None] * (width + 2 * pad) + columns[:, None, :]
    flat = source.flatten(1).unsqueeze(1).expand(-1, 3, -1)
    return padded.flatten(2).gather(2, flat).view_as(images)


def _rectangles(uniform: Tensor, height: int, width: int) -> Tensor:
    """Choose the erased pixels, bool (B, 1, H, W); uniform: random numbers in [0, 1), (4, B)."""
    low, high = _ERASE_AREA
    pixels = height * width * (low + uniform[0] * (high - low))
    low, high = (math.log(aspect) for aspect in _ERASE_ASPECT)
    tallness = (low + uniform[1] * (high - low)).exp()
    # One random number decides whether to erase; below the probability, its quotient is uniform again: the row.
    erased, down = uniform[2] < _ERASE_PROBABILITY, uniform[2] / _ERASE_PROBABILITY
    rows = _span((pixels * tallness).sqrt(), down, height)
    columns = _span((pixels / tallness).sqrt(), uniform[3], width)
    return (rows[:, :, None] & columns[:, None, :] & erased[:, None, None]).unsqueeze(1)


def _span(length: Tensor, position: Tensor, size: int) -> Tensor:
    """Mark ``length`` (B,) of ``size`` pixels at a relative ``position`` (B,), 0 to 1; returns bool (B, size)."""
    length = length.round().clamp(1, size)
    start = (position * (size - length + 1)).floor().unsqueeze(1)
    index = torch.arange(size, device=length.device)
    return (index >= start) & (index < start + length.unsqueeze(1))
