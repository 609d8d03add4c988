"""Budgets with sensitivities: what they save of the loss at equal bytes.

A tensor's sensitivity is the mean of its squared gradients at the base, on text or pictures that the round trained on: the
diagonal of the Fisher information, estimated from batches.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from codec.update import Update
from codec.vectors import vision
from codec.vectors.adapters import with_adapters
from codec.vectors.judge import Judge
from codec.vectors.language import BATCH, LENGTH, Size, base
from fedretina.dom import DomConfig, decode, encode
from fedretina.study.tasks import DOCUMENTATION, batches, shares

BITS = (0.1, 0.2, 0.3, 0.5, 0.8)
BATCHES, _SEED = 16, 99
Loss = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class Spent:
    """What an update loses of the round's improvement within a budget, in bits a weight, without and with sensitivities."""

    bits: float
    without: float
    given: float


def spend(update: Update, judge: Judge, sensitivities: Mapping[str, float]) -> Iterator[Spent]:
    """Encode within some budgets."""
    for bits in BITS:
        config = DomConfig(budget_bytes=int(bits * update.weights / 8))
        lost = []
        for given in (None, sensitivities):
            payload = encode(update.new, base=update.base, config=config, sensitivities=given)
            lost.append(judge.lost_by(decode(payload, base=update.base)))
        yield Spent(bits, *lost)


def sensitivities_of(name: str, size: Size, folder: Path) -> dict[str, float]:
    """Return those of a vector: of the ViT on digits, of a GPT on its client's text, of adapters on the documentation."""
    if name == "vit":
        network, (images, labels) = vision.build(), vision.digits()
        network.load_state_dict(vision.base(folder))
        parts = torch.arange(BATCHES * vision.BATCH).split(vision.BATCH)
        return _of(network, parts, lambda model, part: nn.functional.cross_entropy(model(images[part]), labels[part]))
    if "lora" in name:
        return _of(with_adapters(size, folder), _drawn(DOCUMENTATION), lambda network, batch: network.loss(batch))
    return _of(size.load(base(size, folder)), _drawn(0), lambda network, batch: network.loss(batch))


def _drawn(client: int) -> Sequence[Tensor]:
    return list(batches(shares()[client].training, count=BATCHES, size=BATCH, length=LENGTH, seed=_SEED))


def _of(network: nn.Module, data: Sequence[Tensor], loss: Loss) -> dict[str, float]:
    trained = {name: values for name, values in network.named_parameters() if values.requires_grad}
    squares = dict.fromkeys(trained, 0.0)
    for batch in data:
        network.zero_grad()
        torch.autograd.backward(loss(network, batch))
        for name, values in trained.items():
            if values.grad is not None:
                squares[name] += float(values.grad.square().mean())
    return {name: square / len(data) for name, square in squares.items() if square > 0}
