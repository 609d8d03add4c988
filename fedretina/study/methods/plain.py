"""The baselines that need no reuse: the target alone, with all labels, and the best source, as it is or fine-tuned."""

from torch import nn

from fedretina.study.student import Student


def alone(student: Student) -> nn.Module:
    """Train the target from scratch on its labelled samples."""
    return student.fit(student.fresh(), splits=student.labelled)


def oracle(student: Student) -> nn.Module:
    """Train the target from scratch with every label; outside of an experiment nobody has them."""
    splits = student.splits.with_all_labels()
    return student.fit(student.fresh(classes=splits.classes), splits=splits)


def direct(student: Student) -> nn.Module:
    """Take the best source as it is, BatchNorm statistics re-estimated on the target (Li et al., AdaBN, 2016)."""
    return student.peers.models[student.best]


def finetune(student: Student) -> nn.Module:
    """Start from the best source, train on the labelled samples: what every practitioner tries first."""
    return student.fit(student.started(), splits=student.labelled)
