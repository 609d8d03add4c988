"""The target's initial weights: those of a peer, or the average of several peers."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fedretina.features import adapt_batchnorm
from fedretina.task import Splits, Task

ADAPT_BATCH = 256
ADAPT_SAMPLES = 4096


def start_from(model: nn.Module, peer: nn.Module, head: str) -> None:
    """Copy a peer's weights into a model of the same architecture, except the head: its classes are the domain's own."""
    model.load_state_dict(body_of(peer, head), strict=False)


def start_from_average(model: nn.Module, peers: Sequence[nn.Module], task: Task, splits: Splits) -> None:
    """Set a model to the mean of its peers, except the head, and re-estimate its BatchNorm statistics on the target.

    All peers have the model's architecture. Tensors of integers, such as counters, are the first peer's.
    """
    bodies = [body_of(peer, task.head) for peer in peers]
    mean = {
        name: torch.stack([body[name] for body in bodies]).mean(0) if value.is_floating_point() else value
        for name, value in bodies[0].items()
    }
    model.load_state_dict(mean, strict=False)
    adapt_batchnorm(model, clean_batches(task, splits))


def body_of(model: nn.Module, head: str) -> Mapping[str, Tensor]:
    """Give a model's state without its head."""
    return {name: value for name, value in model.state_dict().items() if not is_part(name, head)}


def is_part(name: str, module: str) -> bool:
    """Tell whether a tensor belongs to a submodule, by their names; none belongs to the submodule with the empty name."""
    return bool(module) and name.startswith(f"{module}.")


def clean_batches(task: Task, splits: Splits) -> list[Tensor]:
    """Give up to about 8,000 samples of a domain, prepared without augmentation, in batches of nearly equal size."""
    everything = splits.everything()
    step = max(1, len(everything) // ADAPT_SAMPLES)
    chosen = everything[::step]
    count = max(1, round(len(chosen) / ADAPT_BATCH))
    return [task.prepare(part) for part in torch.tensor_split(chosen, count)]
