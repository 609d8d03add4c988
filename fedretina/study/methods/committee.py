"""The committee: frozen sources and the target's own state label the unlabelled samples (`fedretina.reuse.Committee`).

Without any source it is self-training: the target labels by its own features alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from torch import nn

from fedretina.reuse import CommitteeOptions, theorem_alpha
from fedretina.study.methods.regularised import Start, begin, term
from fedretina.study.student import Student
from fedretina.train import ClassMemoryTerm, PseudoLabelBatches, PseudoLabels, Term

Voters = Literal["none", "best", "two", "all"]


def committee(
    student: Student,
    *,
    voters: Voters = "all",
    start: Start = "best-peer",
    regularise: bool = False,
    grouped: bool = True,
    options: CommitteeOptions | None = None,
) -> nn.Module:
    """Train on the labels of the voters and of the target itself; with `regularise` also with Eq. 1.

    Without `grouped` the voters do not know which camera took a photo; `options` other than the default leave out a part.
    """
    model = begin(student, start)
    terms: list[Term] = [term(student, model)] if regularise else []
    labels = _pseudo_labels(student, _names(student, voters), grouped, options)
    batches = PseudoLabelBatches(labels, student.training.batch_size)
    student.fit(model, batches=batches, terms=[*terms, ClassMemoryTerm(labels)])
    student.numbers |= {f"committee.{key}": value for key, value in labels.metrics.items()}
    return model


def _names(student: Student, voters: Voters) -> Sequence[str]:
    """Name the voters; the best are so on the target's labelled samples."""
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
