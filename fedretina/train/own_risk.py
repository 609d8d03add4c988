"""The target's own risk: how wrong it is without peers, on labelled samples that it did not train on."""

import torch
from torch import Tensor

from fedretina.task import Splits, Task
from fedretina.train.batches import DomainBatches
from fedretina.train.compute import class_scores, training_device
from fedretina.train.learner import Learner
from fedretina.train.risks import SMALLEST_RISK
from fedretina.train.schedule import EpochRange
from fedretina.train.seeds import derive_seed, seeded_model
from fedretina.train.training import Training

FOLDS, SHARE = 4, 2
"""Trainings, and the part of a target's epochs that each one takes: a half."""
LEAST = 10
"""With fewer samples that can be held out the risk is not measured: it would be chance."""


def held_out_risk(task: Task, splits: Splits, domain: str, training: Training) -> float | None:
    """Train a target alone on three quarters of its labelled samples, four times, and measure its error on the others.

    It can be compared with R_m of a source that predicts the same classes. If R_m is larger, the source is more often wrong
    on this target than the target itself.

    Parameters
    ----------
    task : Task
        The learning problem.
    splits : Splits
        The target's data. Every labelled sample is held out once, if its class has another one.
    domain : str
        The target's name.
    training : Training
        Each of the four trainings takes half as many epochs as the target's.

    Returns
    -------
    float or None
        1 - accuracy, at least 0.01 as R_m is. None if it cannot be compared with R_m, since each domain has a head of its
        own, or the task's metric is not the accuracy; and if fewer than ten samples can be held out.
    """
    if task.kind != "classification" or task.head or task.metric != "accuracy":
        return None
    folds = _folds(splits.labels, derive_seed(training.seed, f"{domain}/own-risk", 0))
    held_out = [_held_out(splits.labels, folds == fold) for fold in range(FOLDS)]
    if (count := int(sum(out.sum() for out in held_out))) < LEAST:
        return None
    wrong = sum(_errors(task, splits, domain, training, out) for out in held_out if out.any())
    return max(SMALLEST_RISK, wrong / count)


def _folds(labels: Tensor, seed: int) -> Tensor:
    """Deal the samples of each class over the folds, in an order drawn by chance."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    by_class = order[labels[order].argsort(stable=True)]
    folds = torch.empty_like(labels)
    folds[by_class] = torch.arange(len(labels)) % FOLDS
    return folds


def _held_out(labels: Tensor, fold: Tensor) -> Tensor:
    """Choose the samples of a fold whose class has labelled samples in other folds: nobody predicts an unknown class."""
    return fold & torch.isin(labels, labels[~fold])


def _errors(task: Task, splits: Splits, domain: str, training: Training, out: Tensor) -> int:
    """Train without the samples that are held out, and count the wrong predictions on them."""
    model = seeded_model(task, domain, splits.classes, training, "own-risk")
    batches = DomainBatches(task, Splits(splits.inputs[~out], splits.labels[~out]), training.batch_size)
    learner = Learner(model, task, training, name=f"{domain}/own-risk", batches=batches)
    epochs = max(1, training.epochs // SHARE)
    learner.train(EpochRange(0, epochs, epochs), len(splits.everything()), lambda *_: None)
    with torch.no_grad():
        scores = class_scores(model.eval()(task.prepare(splits.inputs[out]).to(training_device(training))))
    return int((scores.argmax(1).cpu() != splits.labels[out]).sum())
