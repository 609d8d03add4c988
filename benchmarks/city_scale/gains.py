"""The true gain of each candidate for each target: what the target reaches on its test data if it starts from that model.

All candidates of a target train at once, as one stack of networks, on the same batches. Nothing else than these numbers sees
test data before the end of a run; only the oracle chooses by them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from city_task import CityTask
from fedretina.task import shuffled
from fedretina.train import Training

Arrays = Mapping[str, Any]
WEIGHTS = ("embedding.0.weight", "embedding.0.bias", "embedding.1.weight", "embedding.1.bias", "head.weight", "head.bias")
EPSILON = 1e-5
STEPS = 25


@dataclass(frozen=True)
class Gains:
    """True gains by target and candidate, in points of accuracy."""

    by_target: Mapping[str, Mapping[str, float]]

    def of(self, target: str) -> Mapping[str, float]:
        """Return the gain of each candidate for a target."""
        return self.by_target[target]


class Stack(nn.Module):
    """Some networks of the city's task, side by side; inputs are the same for all."""

    def __init__(self, models: Sequence[Arrays]) -> None:
        super().__init__()
        for name in WEIGHTS:
            stacked = torch.from_numpy(np.stack([np.asarray(model[name]) for model in models]))
            self.register_parameter(name.replace(".", "_"), nn.Parameter(stacked.float()))

    def forward(self, images: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the logits, (models, B, classes). BatchNorm takes its statistics from `context`, by default the batch."""
        hidden = self._linear(images, "embedding_0")
        of = hidden if context is None else self._linear(context, "embedding_0")
        mean, variance = of.mean(1, keepdim=True), of.var(1, keepdim=True, correction=0)
        hidden = (hidden - mean) / torch.sqrt(variance + EPSILON)
        hidden = hidden * self.embedding_1_weight[:, None] + self.embedding_1_bias[:, None]
        return torch.baddbmm(self.head_bias[:, None], torch.relu(hidden), self.head_weight.mT)

    def _linear(self, images: Tensor, name: str) -> Tensor:
        weight, bias = getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias")
        return torch.einsum("bi,koi->kbo", images, weight) + bias[:, None]


def true_gains(task: CityTask, models: Mapping[str, Arrays], training: Training) -> Gains:
    """Measure the gain of each model for each other domain: accuracy after fine-tuning it, less that of fine-tuning the own.

    Parameters
    ----------
    task : CityTask
        The city.
    models : mapping of str to mapping of str to ndarray
        The models from home, by domain.
    training : Training
        Its rate, batch size and seed are those of the fine-tuning: Adam, `STEPS` steps with a falling rate on the target's
        labelled samples.
    """
    names = list(models)
    reached = {target: _fine_tuned(task, target, list(models.values()), training) for target in names}
    return Gains(
        {
            target: {
                name: value - row[names.index(target)] for name, value in zip(names, row, strict=True) if name != target
            }
            for target, row in reached.items()
        }
    )


def _fine_tuned(task: CityTask, target: str, models: Sequence[Arrays], training: Training) -> list[float]:
    splits, (images, labels) = task.splits(target), task.tested(target)
    stack, context = Stack(models), splits.everything()
    optimizer = torch.optim.Adam(stack.parameters())
    size = min(training.batch_size, len(splits.labels))
    batches = shuffled(len(splits.labels), size, torch.Generator().manual_seed(training.seed))
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = training.lr * (1 - step / STEPS)
        chosen = next(batches)
        logits = stack(splits.inputs[chosen])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), splits.labels[chosen].repeat(len(models)), reduction="sum")
        optimizer.zero_grad()
        (loss / len(chosen)).backward()
        optimizer.step()
    with torch.no_grad():
        right = stack(images, context).argmax(2) == labels
    return [100 * float(value) for value in right.float().mean(1)]
