"""A ViT learns scikit-learn's digits: a base that is trained a little, then a round of local steps."""

from functools import cache
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from codec.vectors.files import State, made_once
from fedretina.study.tasks import Vit
from fedretina.task import shuffled

SIDE, CLASSES, TRAINED = 8, 10, 1200
BATCH, WARMUP, STEPS = 32, 150, 40
WARMUP_LR, LOCAL_LR = 1e-3, 3e-4


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return the digits in an order drawn by chance: images (N, 1, 8, 8) from 0 to 1, and labels (N,)."""
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    return torch.tensor(images / 16, dtype=torch.float32).view(-1, 1, SIDE, SIDE)[order], torch.tensor(labels)[order]


def build() -> Vit:
    """Return a fresh network, drawn from torch's global generator."""
    return Vit(CLASSES, side=SIDE)


def base(folder: Path) -> dict[str, Tensor]:
    """Return the base."""

    def make() -> State:
        torch.manual_seed(0)
        return _train(build(), WARMUP, WARMUP_LR, seed=0)

    return made_once(folder / "vit" / "base.safetensors", make)


def new(folder: Path) -> dict[str, Tensor]:
    """Return what a round makes of the base."""

    def make() -> State:
        model = build()
        model.load_state_dict(base(folder))
        return _train(model, STEPS, LOCAL_LR, seed=1)

    return made_once(folder / "vit" / "new.safetensors", make)


def _train(model: Vit, steps: int, lr: float, *, seed: int) -> State:
    images, labels = digits()
    optimiser = torch.optim.AdamW(model.parameters(), lr)
    batches = shuffled(TRAINED, BATCH, torch.Generator().manual_seed(seed))
    for index, _ in zip(batches, range(steps), strict=False):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images[index]), labels[index]).backward()
        optimiser.step()
    return model.state_dict()
