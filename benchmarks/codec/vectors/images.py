"""Convolutional networks learn the pictures at hand: pairs of models, and the series of versions of one.

Each is a file that is made once: an interrupted training goes on where it was.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import resnet50

from codec.pictures import Pictures
from codec.vectors.files import write
from fedretina.reid import augment, identity_loss
from fedretina.reid.networks import SmallReID
from fedretina.task import shuffled

IMAGENET_CLASSES = 1000  # ResNet-50 as it is known, 25.6 M parameters; the labels at hand take up some of its outputs
WIDE = (56, 148, 296)  # SmallReID of 2.0 M parameters
VERSIONS = 21
FALL = 0.85  # of the learning rate, each version


@dataclass(frozen=True)
class Recipe:
    """How one vector is trained: `warmup` steps lead to the base, a round of `steps` with a fresh optimiser to the new.

    The round's learning rate gives the delta an RMS of about 1e-3, as the first rounds of a fine-tuning have.
    """

    name: str
    build: Callable[[int], nn.Module]
    optimiser: Callable[[nn.Module, float], torch.optim.Optimizer]
    lr: float
    round_lr: float
    warmup: int
    steps: int
    batch: int


@dataclass(frozen=True)
class Series:
    """How a series of versions is trained: `warmup` epochs lead to the first, one epoch to each other."""

    name: str
    lr: float
    warmup: int
    fall: float = 1.0


def adamw(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr)


def sgd(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=5e-4)


def big(_: int) -> nn.Module:
    return resnet50(weights=None, num_classes=IMAGENET_CLASSES)


def small(classes: int) -> nn.Module:
    return SmallReID(classes, widths=WIDE)


RECIPES = (
    Recipe("resnet50-adamw", big, adamw, lr=1e-3, round_lr=2.5e-4, warmup=40, steps=16, batch=32),
    Recipe("resnet50-sgd", big, sgd, lr=5e-2, round_lr=2e-2, warmup=40, steps=16, batch=32),
    Recipe("cnn-adamw", small, adamw, lr=1e-3, round_lr=1.5e-4, warmup=120, steps=40, batch=32),
    Recipe("cnn-sgd", small, sgd, lr=5e-2, round_lr=1.2e-2, warmup=120, steps=40, batch=32),
)
SERIES = (Series("stream", lr=1e-3, warmup=3), Series("stream-falling", lr=1e-3, warmup=3, fall=FALL))
QUICK = tuple(replace(recipe, warmup=6, steps=3) for recipe in RECIPES if recipe.name == "cnn-adamw")
QUICK_SERIES = (Series("stream", lr=1e-3, warmup=0),)


def train_pair(recipe: Recipe, pictures: Pictures, folder: Path) -> None:
    """Write base.safetensors and new.safetensors in a folder of the recipe's name, unless they are there."""
    base, new = (folder / recipe.name / f"{part}.safetensors" for part in ("base", "new"))
    if base.exists() and new.exists():
        return
    torch.manual_seed(0)
    model = recipe.build(pictures.classes)
    if base.exists():
        model.load_state_dict(load_file(base))
    else:
        _train(model, recipe.optimiser(model, recipe.lr), _batches(pictures, recipe.batch, seed=0), recipe.warmup)
        write(model.state_dict(), base)
    _train(model, recipe.optimiser(model, recipe.round_lr), _batches(pictures, recipe.batch, seed=1), recipe.steps)
    write(model.state_dict(), new)


def train_series(series: Series, pictures: Pictures, folder: Path, *, versions: int = VERSIONS) -> None:
    """Write 00.safetensors and so on in a folder of the series' name, unless they are there."""
    files = [folder / series.name / f"{number:02}.safetensors" for number in range(versions)]
    if all(file.exists() for file in files):
        return
    torch.manual_seed(0)
    model = SmallReID(pictures.classes)
    batches = _batches(pictures, 64, seed=0)
    epoch = len(pictures.labels) // 64
    optimiser = adamw(model, series.lr)
    _train(model, optimiser, batches, series.warmup * epoch)
    for file in files:
        write(model.state_dict(), file)
        _train(model, optimiser, batches, epoch)
        for group in optimiser.param_groups:
            group["lr"] *= series.fall


def _batches(pictures: Pictures, size: int, *, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    for index in shuffled(len(pictures.labels), size, generator):
        yield augment(pictures.images[index], generator=generator), pictures.labels[index]


def _train(model: nn.Module, optimiser: torch.optim.Optimizer, batches: Iterator[tuple[Tensor, Tensor]], steps: int) -> None:
    model.train()
    for _ in range(steps):
        images, labels = next(batches)
        output = model(images)
        loss = identity_loss(getattr(output, "logits", output), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
