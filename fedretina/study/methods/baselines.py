"""The baselines without reuse: the target alone, with all labels, and the best source, as it is or fine-tuned."""

from torch import nn

from fedretina.study.student import Student


def alone(student: Student) -> nn.Module:
    """Train the target from scratch on its labelled samples."""
    return student.fit(student.new_model(), splits=student.labelled)


def all_labels(student: Student) -> nn.Module:
    """Train the target from scratch with every label: an upper bound, since only an experiment has all labels."""
    splits = student.splits.with_all_labels()
    return student.fit(student.new_model(classes=splits.classes), splits=splits)


def direct(student: Student) -> nn.Module:
    """Use the best source without training; its BatchNorm statistics are re-estimated on the target (AdaBN)."""
    return student.peers.models[student.best_source]


def finetune(student: Student) -> nn.Module:
    """Start from the best source and train on the labelled samples: the usual transfer learning."""
    return student.fit(student.model_from_best(), splits=student.labelled)
