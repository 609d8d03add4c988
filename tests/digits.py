"""A task in 40 lines: scikit-learn's digits in domains that differ by rotation and contrast. The own-task guide shows it."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from fedretina.task import Splits, Task

QUARTER_TURNS = {"upright": 0, "left": 1, "upside-down": 2, "faint": 0}


@dataclass(frozen=True)
class Digits(Task):
    targets: tuple[str, ...] = ("faint",)
    labelled: int = 40
    metric = "accuracy"
    layers = ("1",)

    def splits(self, domain: str) -> Splits:
        x, y = self._data(domain, test=False)
        if domain not in self.targets:
            return Splits(x, y)
        n = self.labelled
        return Splits(x[:n], y[:n], x[n:], y[n:])

    def model(self, domain: str, classes: int) -> nn.Module:
        return nn.Sequential(nn.Linear(64, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, classes))

    def loss(self, output: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output, labels)

    @torch.no_grad()
    def evaluate(self, model, domain, *, split="test"):
        data = self.splits(domain)
        x, y = (data.inputs, data.labels) if split == "labelled" else self._data(domain, test=True)
        return {"accuracy": 100 * float((model(x).argmax(1) == y).float().mean())}

    def _data(self, domain: str, *, test: bool) -> tuple[Tensor, Tensor]:
        images, labels = load_digits(return_X_y=True)
        start = 500 + 300 * list(QUARTER_TURNS).index(domain)
        part = slice(0, 500) if test else slice(start, start + 300)
        images = np.rot90(images[part].reshape(-1, 8, 8), QUARTER_TURNS[domain], axes=(1, 2)).reshape(-1, 64)
        contrast = 0.6 if domain == "faint" else 1.0
        return torch.tensor(contrast * images.copy() / 16, dtype=torch.float32), torch.tensor(labels[part])
