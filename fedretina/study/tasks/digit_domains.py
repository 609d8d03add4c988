"""scikit-learn's digits as domains that are alike or not: turned, shifted, faint, noisy. Cells of a study take seconds."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fedretina.study.tasks.digits import CLASSES, digits
from fedretina.task import Split, Splits, Task

TEST, SAMPLES, WIDTH = 500, 180, 48
QUARTER_TURNS = {"upright": 0, "faint": 0, "noisy": 0, "shifted": 0, "left": 1, "right": 3, "upside-down": 2}
CONTRAST, NOISE = 0.6, 0.25


@dataclass(frozen=True, kw_only=True)
class DigitDomains(Task):
    """Seven domains of 180 digits each, which share no sample; tested on 500 further ones.

    "upright", "faint" and "noisy" are alike. "shifted" is moved by a pixel. "left", "right" and "upside-down" are turned.
    Labels mean the same in every domain, so the head is shared.

    Parameters
    ----------
    targets : tuple of str
        The domains with few labels.
    labelled : float, default 0.3
        Fraction of a target's samples that are labelled; each class has a label.
    seed : int, default 0
        Seed of the data: which samples a domain has, and which are labelled and tested.
    """

    targets: tuple[str, ...]
    labelled: float = 0.3
    seed: int = 0
    metric = "accuracy"
    layers = ("1",)

    def splits(self, domain: str) -> Splits:
        """Give the training digits; of a target only a part is labelled."""
        inputs, labels = self._samples(domain, TEST + SAMPLES * list(QUARTER_TURNS).index(domain), SAMPLES)
        if domain not in self.targets:
            return Splits(inputs, labels)
        known = max(CLASSES, round(self.labelled * SAMPLES))
        first = [int((labels == digit).nonzero()[0]) for digit in range(CLASSES)]  # a label of each class
        order = torch.tensor(first + [index for index in range(SAMPLES) if index not in first])
        inputs, labels = inputs[order], labels[order]
        return Splits(inputs[:known], labels[:known], inputs[known:], labels[known:])

    def model(self, domain: str, classes: int) -> nn.Module:
        """Make a perceptron of one hidden layer."""
        del domain, classes
        return nn.Sequential(nn.Linear(64, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.Linear(WIDTH, CLASSES))

    def loss(self, output: Tensor, labels: Tensor) -> Tensor:
        """Compute the cross-entropy."""
        return nn.functional.cross_entropy(output, labels)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, domain: str, *, split: Split = "test") -> Mapping[str, float]:
        """Compute the accuracy in percent."""
        data = self.splits(domain)
        inputs, labels = (data.inputs, data.labels) if split == "labelled" else self._samples(domain, 0, TEST)
        outputs = model(inputs.to(next(model.parameters()).device)).cpu()
        return {"accuracy": 100 * float((outputs.argmax(1) == labels).float().mean())}

    def _samples(self, domain: str, start: int, count: int) -> tuple[Tensor, Tensor]:
        images, labels = digits()
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(self.seed))[start : start + count]
        seen = torch.rot90(images[order].view(-1, 8, 8), QUARTER_TURNS[domain], (1, 2))
        seen = (seen.roll(1, 2) if domain == "shifted" else seen).reshape(-1, 64)
        if domain == "faint":
            seen = CONTRAST * seen
        if domain == "noisy":
            seen = seen + NOISE * torch.randn(seen.shape, generator=torch.Generator().manual_seed(self.seed + start))
        return seen, labels[order]
