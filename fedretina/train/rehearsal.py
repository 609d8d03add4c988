"""Take one training step with a temporary model before the training, so that errors appear at once."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from fedretina.errors import BadArgument
from fedretina.features import layer_shapes
from fedretina.task import Splits, Task
from fedretina.train.batches import DomainBatches
from fedretina.train.compute import training_device
from fedretina.train.learner import Learner
from fedretina.train.schedule import EpochRange
from fedretina.train.seeds import seeded
from fedretina.train.training import Training

CHECKPOINT_FACTOR = 6
"""Bytes of a learner's checkpoints per byte of its model: weights and Adam's two moments, of two rounds."""


def rehearse(
    task: Task, splits: Splits, model: nn.Module, training: Training, *, domain: str, layers: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Check a domain's data, and take one training step on them.

    Parameters
    ----------
    task : Task
        The problem.
    splits : Splits
        The domain's data.
    model : Module
        A model for this domain. It is changed, so do not use it afterwards.
    training : Training
        Batch size, device, precision.
    domain : str
        The domain's name, for errors.
    layers : sequence of str
        The layers that will be reused.

    Returns
    -------
    dict of str to tuple of int
        The shapes of these layers' outputs, without the batch.

    Raises
    ------
    BadArgument
        There are fewer than two classes; the labels do not fit the samples; the model lacks a layer; the loss is not finite;
        or a batch does not fit into the device's memory.
    """
    check_splits(splits, domain)
    model.to(training_device(training))
    found = {name: tuple(shape) for name, shape in _shapes(task, splits, model, training, layers).items()}
    losses: list[float] = []
    with seeded(training, f"{domain}/rehearsal"):
        batches = DomainBatches(task, splits, training.batch_size)
        learner = Learner(model, task, training, name=f"{domain}/rehearsal", batches=batches)
        try:
            learner.train(EpochRange(0, 1, 1), 1, lambda epoch, total, loss, speed: losses.append(loss))
        except torch.OutOfMemoryError:
            size = f"batch-size = {training.batch_size}"
            raise BadArgument(
                f"{size}: a batch does not fit into the memory of {training_device(training)}; give less"
            ) from None
    if not math.isfinite(losses[0]):
        raise BadArgument(
            f"the loss of {domain!r} is {losses[0]} in the first step, and must be finite: look for NaN in its samples"
        )
    return found


def check_splits(splits: Splits, domain: str) -> None:
    """Refuse data without enough labels or classes; `BadArgument` names the domain.

    Examples
    --------
    >>> check_splits(Splits(torch.zeros(3, 2), torch.tensor([0, 0, 0])), "duke")
    Traceback (most recent call last):
    fedretina.errors.BadArgument: the labelled samples of 'duke' are of 1 class: 2 or more are needed; label more of them
    """
    labels, count = splits.labels, len(splits.inputs)
    if len(labels) != count or (count and int(labels.min()) < 0):
        raise BadArgument(f"{domain!r} has {count} labelled samples and {len(labels)} labels: give a class from 0 for each")
    classes = len(set(labels.tolist()))
    if classes < 2:
        raise BadArgument(
            f"the labelled samples of {domain!r} are of {classes} class: 2 or more are needed; label more of them"
        )
    others = {"hidden": (splits.hidden, len(splits.unlabelled)), "groups": (splits.groups, count + len(splits.unlabelled))}
    for name, (values, wanted) in others.items():
        if values is not None and len(values) != wanted:
            raise BadArgument(f"`{name}` of {domain!r} has {len(values)} entries: give {wanted}, one per sample")


def check_disk_space(folder: Path, needed: int, what: str) -> None:
    """Refuse a folder, which need not exist yet, if its disk has less than `needed` bytes free."""
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise BadArgument(
            f"{folder} has {free / 1e6:,.0f} MB free, {what} take {needed / 1e6:,.0f} MB: free space, or set FEDRETINA_HOME "
            f"to a folder on another disk"
        )


def model_bytes(model: nn.Module) -> int:
    """Count the bytes of a model's state."""
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())


def _shapes(
    task: Task, splits: Splits, model: nn.Module, training: Training, layers: Sequence[str]
) -> dict[str, torch.Size]:
    try:
        return layer_shapes(model, layers, task.prepare(splits.inputs[:2]).to(training_device(training)))
    except BadArgument as error:
        raise BadArgument(f"layers = {','.join(layers)!r}: {error}") from None
