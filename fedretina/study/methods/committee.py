"""The committee: frozen sources and the target's own state label the unlabelled samples (`fedretina.reuse.Committee`).

Without any source it is self-training: the target labels by its own features alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from torch import nn

from fedretina.reuse import CommitteeOptions, theorem_alpha
from fedretina.strategies.peer_reuse.teaching import Teaching
from fedretina.study.methods.regularised import Start, begin, term
from fedretina.study.student import Student

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
    """Train on what the voters and the target itself say; with `regularise` with Eq. 1 beside it.

    Not `grouped`, the voters are not told which camera took a photo; `options` other than the default leave out a part.
    """
    model = begin(student, start)
    reuse = term(student, model) if regularise else None
    return student.fit(model, reuse=reuse, teaching=_teaching(student, _names(student, voters), grouped, options))


def _names(student: Student, voters: Voters) -> Sequence[str]:
    """Name the voters; the best are so on the target's labelled samples."""
    if voters == "none":
        return []
    scores = student.peers.scores
    ranked = sorted(student.setting.sources, key=lambda name: -scores[name])
    return {"best": ranked[:1], "two": ranked[:2], "all": ranked}[voters]


def _teaching(student: Student, names: Sequence[str], grouped: bool, options: CommitteeOptions | None) -> Teaching:
    splits = student.splits if grouped else replace(student.splits, groups=None)
    alpha = theorem_alpha({name: student.peers.risks[name] for name in names}) if names else {}
    models = {name: student.peers.models[name] for name in names}
    return Teaching(student.task, splits, models, alpha=alpha, plan=student.plan, options=options)
