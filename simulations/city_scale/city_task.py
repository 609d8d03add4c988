"""A city of cameras that read signs: domains are made on the fly from a seed, and nothing of them is on disk.

A district has its own habits: how each sign is drawn there. Each domain has one or two cameras, with their own light, blur,
shift and noise. The numbers of samples and the shares of labels are log-normal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from photos import CLASSES, SIDE, Pixels, district_signs, expose, shift
from torch import Tensor, nn

from fedretina.task import Split, Splits, Task

TESTED = 200
WIDTH = 48
CACHED = 128
"""So many domains' data are kept in memory: a turn reads those of one domain for each of its peers."""


def domain_names(count: int) -> list[str]:
    """Name the domains of a city, such as "d007"."""
    digits = max(3, len(str(count - 1)))
    return [f"d{index:0{digits}d}" for index in range(count)]


@dataclass(frozen=True)
class CityTask(Task):
    """The task: which of ten signs an image of 12 x 12 pixels shows.

    Parameters
    ----------
    domains : int
        Number of domains.
    districts : int
        Number of districts; domain i lies in district i modulo this.
    samples : int
        Median number of training samples of a domain.
    labelled : float
        Median share of them that have a label.
    seed : int
        Seed of the city.
    bad : float
        Share of the domains whose labels are random: their models are worth nothing.
    """

    domains: int
    districts: int
    samples: int = 120
    labelled: float = 0.2
    seed: int = 0
    bad: float = 0.0

    metric = "accuracy"
    layers = ("embedding",)

    @property
    def names(self) -> tuple[str, ...]:
        """The domains."""
        return tuple(domain_names(self.domains))

    def district(self, domain: str) -> int:
        """Return the number of a domain's district."""
        return self._index(domain) % self.districts

    def is_bad(self, domain: str) -> bool:
        """Tell whether a domain's labels are random: the domains are drawn once for a city."""
        order = np.random.default_rng([self.seed, 5]).permutation(self.domains)
        return self._index(domain) in order[: round(self.bad * self.domains)]

    def splits(self, domain: str) -> Splits:
        """Make the training data of a domain."""
        return _splits(self, domain)

    def model(self, domain: str, classes: int) -> nn.Module:
        """Make a network of 7,600 parameters."""
        return _Network()

    def loss(self, output: Tensor, labels: Tensor) -> Tensor:
        """Compute the cross-entropy."""
        return nn.functional.cross_entropy(output, labels)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, domain: str, *, split: Split = "test") -> Mapping[str, float]:
        """Measure the accuracy in percent."""
        images, labels = self.tested(domain) if split == "test" else self._labelled(domain)
        device = next(model.parameters()).device
        right = model(images.to(device)).argmax(1).cpu() == labels
        return {"accuracy": 100 * float(right.float().mean())}

    def tested(self, domain: str) -> tuple[Tensor, Tensor]:
        """Return the test images of a domain and their labels."""
        return _tested(self, domain)

    def _labelled(self, domain: str) -> tuple[Tensor, Tensor]:
        data = self.splits(domain)
        return data.inputs, data.labels

    def make_splits(self, domain: str) -> Splits:
        """Make the training data anew."""
        rng = self._rng(domain, 1)
        count = int(np.clip(self.samples * np.exp(rng.normal(0, 0.7)), 4 * CLASSES, 20 * self.samples))
        share = float(np.clip(self.labelled * np.exp(rng.normal(0, 0.5)), 0.02, 1))
        images, labels, cameras = self._photos(domain, rng, count)
        known = max(CLASSES, round(share * count))
        given = rng.permutation(labels[:known]) if self.is_bad(domain) else labels[:known]
        return Splits(
            torch.from_numpy(images[:known]),
            torch.from_numpy(given),
            torch.from_numpy(images[known:]),
            torch.from_numpy(labels[known:]),
            torch.from_numpy(cameras),
        )

    def make_tested(self, domain: str) -> tuple[Tensor, Tensor]:
        """Make the test data anew."""
        images, labels, _ = self._photos(domain, self._rng(domain, 2), TESTED)
        return torch.from_numpy(images), torch.from_numpy(labels)

    def _index(self, domain: str) -> int:
        return int(domain[1:])

    def _rng(self, domain: str, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose, self._index(domain)])

    def _photos(
        self, domain: str, rng: np.random.Generator, count: int
    ) -> tuple[Pixels, NDArray[np.int64], NDArray[np.int64]]:
        """Take photos; the first ten show one sign each."""
        labels = np.concatenate([np.arange(CLASSES), rng.integers(CLASSES, size=max(count - CLASSES, 0))])
        cameras = rng.integers(2, size=len(labels)) if self._rng(domain, 3).random() < 0.5 else np.zeros_like(labels)
        images = shift(district_signs(self.seed, self.district(domain))[labels], rng)
        for camera in np.unique(cameras):
            chosen = cameras == camera
            images[chosen] = expose(images[chosen], np.random.default_rng([self.seed, 4, self._index(domain), camera]), rng)
        return images.reshape(len(images), -1), labels, cameras


class _Network(nn.Module):
    """Pixels to an embedding to classes; `embedding` is the layer that is reused."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Sequential(nn.Linear(SIDE * SIDE, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU())
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (B, 10)."""
        logits: Tensor = self.head(self.embedding(images))
        return logits


@lru_cache(maxsize=CACHED)
def _splits(city: CityTask, domain: str) -> Splits:
    return city.make_splits(domain)


@lru_cache(maxsize=CACHED)
def _tested(city: CityTask, domain: str) -> tuple[Tensor, Tensor]:
    return city.make_tested(domain)
