"""The data at hand: Omniglot's characters where FEDRETINA_TEST_DATA says, the embedded pedestrians elsewhere."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fedretina import home
from fedretina.reid import Photo, read_domain, render
from fedretina.reid.images import load_images

HEIGHT, WIDTH = 64, 32
PEDESTRIANS = ("duke", "market1501")


@dataclass(frozen=True)
class Pictures:
    """Images (N, 3, HEIGHT, WIDTH), uint8, with labels (N,), int64: who or which character it is."""

    source: str
    images: Tensor
    labels: Tensor

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1


@cache
def load() -> Pictures:
    """Read the training splits of all domains at hand, as one problem."""
    folders, source = _folders()
    photos: list[Photo] = []
    names: list[tuple[str, int]] = []
    for folder in folders:
        found = read_domain(folder).train
        photos += found
        names += [(folder.name, photo.identity) for photo in found]
    number = {name: index for index, name in enumerate(sorted(set(names)))}
    pixels = np.array(load_images(photos, height=HEIGHT, width=WIDTH, cache=home.decoded()))
    return Pictures(source, torch.from_numpy(pixels), torch.tensor([number[name] for name in names]))


def _folders() -> tuple[list[Path], str]:
    data = os.environ.get("FEDRETINA_TEST_DATA")
    if data:
        root = Path(data) / "omniglot_reid"
        return sorted(path for path in root.iterdir() if path.is_dir()), "Omniglot's characters"
    root = render(home.renderings(), PEDESTRIANS, seed=0)
    return [root / name for name in PEDESTRIANS], "the embedded pedestrians"
