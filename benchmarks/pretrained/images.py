"""Images at hand, 3 channels in [0, 1], with the labels that retrieval and a linear probe need."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images
from torch import Tensor
from torch.nn.functional import interpolate

from fedretina.reid import read_domain
from pretrained.scores import probe, retrieval

SIDE = 64  # pixels; small, so that one thread is enough
DIGITS = 600
ALPHABETS = 3
CROPS = 24  # of each photograph


@dataclass(frozen=True)
class Images:
    """Images (N, 3, H, W), float32, a label each, and a group each: nothing is compared with its own group."""

    name: str
    pixels: Tensor
    labels: Tensor
    groups: Tensor


@cache
def sets() -> Sequence[Images]:
    """Return the sets of images that are at hand."""
    found = [_digits(), _characters(), _photographs()]
    return [part for part in found if part is not None]


def score(embeddings: dict[str, Tensor]) -> dict[str, Tensor]:
    """Score the embeddings of each set by retrieval and by a linear probe."""
    found = {}
    for part in sets():
        found[f"{part.name}, retrieval"] = retrieval(embeddings[part.name], part.labels, part.groups)
        found[f"{part.name}, probe"] = probe(embeddings[part.name], part.labels)
    return found


def _digits() -> Images:
    """Handwritten digits of scikit-learn, 8 x 8 pixels scaled; each is a group of its own."""
    found = load_digits()
    pixels = torch.tensor(found.images[:DIGITS] / 16, dtype=torch.float32)[:, None]
    pixels = interpolate(pixels, (SIDE, SIDE), mode="bilinear").expand(-1, 3, -1, -1)
    return Images("digits", pixels, torch.tensor(found.target[:DIGITS]), torch.arange(DIGITS))


def _characters() -> Images | None:
    """Characters of Omniglot's first alphabets, a group a drawer; None without the data."""
    root = Path(os.environ.get("FEDRETINA_TEST_DATA", "")) / "omniglot_reid"
    if not root.is_dir():
        return None
    domains = [read_domain(folder) for folder in sorted(root.iterdir()) if folder.is_dir()][:ALPHABETS]
    photos = [(index, photo) for index, domain in enumerate(domains) for photo in (*domain.query, *domain.gallery)]
    pixels = torch.stack([_read(photo.path) for _, photo in photos])
    labels = torch.tensor([index * 10_000 + photo.identity for index, photo in photos])
    return Images("characters", pixels, labels, torch.tensor([photo.camera for _, photo in photos]))


def _photographs() -> Images:
    """Random crops of the photographs that scikit-learn and scikit-image ship, labelled with their photograph."""
    rng = np.random.default_rng(0)
    pictures = [picture for picture in _pictures() if min(picture.size) >= 3 * SIDE]
    crops = torch.stack([_crop(picture, rng) for _ in range(CROPS) for picture in pictures])
    return Images("photographs", crops, torch.arange(len(pictures)).repeat(CROPS), torch.arange(len(crops)))


def _pictures() -> list[Image.Image]:
    found = [Image.fromarray(image) for image in load_sample_images().images]
    skimage = find_spec("skimage")
    if skimage is None or not skimage.submodule_search_locations:
        return found
    folder = Path(skimage.submodule_search_locations[0]) / "data"
    return found + [Image.open(file).convert("RGB") for file in sorted([*folder.glob("*.png"), *folder.glob("*.jpg")])]


def _crop(picture: Image.Image, rng: np.random.Generator) -> Tensor:
    width, height = picture.size
    size = int(rng.integers(SIDE, min(picture.size) // 2 + SIDE // 2))
    left, top = int(rng.integers(width - size + 1)), int(rng.integers(height - size + 1))
    return _to_tensor(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, (left, top, left + size, top + size)))


def _read(file: Path) -> Tensor:
    with Image.open(file) as image:
        return _to_tensor(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _to_tensor(image: Image.Image) -> Tensor:
    return torch.tensor(np.asarray(image), dtype=torch.float32).permute(2, 0, 1) / 255
