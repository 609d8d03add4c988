"""The committee: frozen sources and the target's own state label the unlabelled samples (`fedretina.reuse.Committee`).

Without any source it is self-training: the target labels by its own features alone.
"""

from collections.abc import Sequence
from typing import Literal

from torch import nn

from fedretina.reuse import theorem_alpha
from fedretina.strategies.peer_reuse.teaching import Teaching
from fedretina.study.methods.regularised import Start, begin, term
from fedretina.study.student import Student

Voters = Literal["none", "best", "two", "all"]


def committee(
    student: Student, *, voters: Voters = "all", start: Start = "best-peer", regularise: bool = False
) -> nn.Module:
    """Train on what the voters and the target itself say; with `regularise` with Eq. 1 beside it."""
    model = begin(student, start)
    reuse = term(student, model) if regularise else None
    return student.fit(model, reuse=reuse, teaching=_teaching(student, _names(student, voters)))


def _names(student: Student, voters: Voters) -> Sequence[str]:
    """Name the voters; the best are so on the target's labelled samples."""
    if voters == "none":
        return []
    scores = student.peers.scores
    ranked = sorted(student.setting.sources, key=lambda name: -scores[name])
    return {"best": ranked[:1], "two": ranked[:2], "all": ranked}[voters]


def _teaching(student: Student, names: Sequence[str]) -> Teaching:
    alpha = theorem_alpha({name: student.peers.risks[name] for name in names}) if names else {}
    models = {name: student.peers.models[name] for name in names}
    return Teaching(student.task, student.splits, models, alpha=alpha, plan=student.plan)
