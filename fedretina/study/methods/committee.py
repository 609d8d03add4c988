"""The committee: frozen sources and the target itself label the unlabelled samples (`fedretina.reuse.Committee`).

Without sources it is self-training: the target labels by its own features alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from torch import nn

from fedretina.reuse import CommitteeOptions, theorem_alpha
from fedretina.study.methods.reuse import initial_model, reuse_term
from fedretina.study.store import Metrics
from fedretina.study.student import Student
from fedretina.study.traffic import Traffic
from fedretina.train import ClassMemoryTerm, PseudoLabelBatches, PseudoLabels, Term

Voters = Literal["none", "best", "two", "all"]


def committee(
    student: Student,
    *,
    voters: Voters = "all",
    start: str = "best-peer",
    with_reuse: bool = False,
    grouped: bool = True,
    options: CommitteeOptions | None = None,
) -> nn.Module:
    """Train on the pseudo-labels of the committee.

    Parameters
    ----------
    student : Student
        The target.
    voters : {"none", "best", "two", "all"}, default "all"
        The sources in the committee, the best ones by their scores; the target is always a member.
    start : str, default "best-peer"
        The target's initial weights: "scratch", "best-peer", or the name of a source.
    with_reuse : bool, default False
        Whether the loss also contains the second term of Eq. 1.
    grouped : bool, default True
        Whether the committee knows the camera of each image.
    options : CommitteeOptions, optional
        Settings of the committee.
    """
    model = initial_model(student, start)
    if start != "scratch" or voters != "none":
        traffic = Traffic()
        publish_home_models(student, traffic)
        student.metrics |= traffic.metrics()
    terms: list[Term] = [reuse_term(student, model)] if with_reuse else []
    labels = _pseudo_labels(student, _names(student, voters), grouped, options)
    batches = PseudoLabelBatches(labels, student.training.batch_size)
    student.fit(model, batches=batches, terms=[*terms, ClassMemoryTerm(labels)])
    student.metrics |= committee_metrics(labels)
    return model


def publish_home_models(student: Student, traffic: Traffic) -> None:
    """Count the sources' models from home on their way to the target. It gets all of them, to find the best one."""
    for name in student.setting.sources:
        traffic.publish(student.peers.models[name].state_dict(), receivers=1)


def committee_metrics(labels: PseudoLabels) -> Metrics:
    """Give the metrics of the last labelling, and the held-out accuracy of the first and of the best one."""
    metrics = dict(labels.metrics)
    if labels.accuracies:
        metrics |= {"first": labels.accuracies[0], "best": max(labels.accuracies)}
    return {f"committee.{name}": value for name, value in metrics.items()}


def _names(student: Student, voters: Voters) -> Sequence[str]:
    """Name the voting sources, by their scores on the target's labelled samples."""
    if voters == "none":
        return []
    scores = student.peers.scores
    ranked = sorted(student.setting.sources, key=lambda name: -scores[name])
    return {"best": ranked[:1], "two": ranked[:2], "all": ranked}[voters]


def _pseudo_labels(student: Student, names: Sequence[str], grouped: bool, options: CommitteeOptions | None) -> PseudoLabels:
    splits = student.splits if grouped else replace(student.splits, groups=None)
    alpha = theorem_alpha({name: student.peers.risks[name] for name in names}) if names else {}
    models = {name: student.peers.models[name] for name in names}
    return PseudoLabels(student.task, splits, models, alpha=alpha, training=student.training, options=options)
