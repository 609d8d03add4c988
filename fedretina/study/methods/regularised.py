"""Eq. 1: the target's embedding reconstructs the sources' (Lou et al., ICME 2019), from scratch or from the best source."""

from typing import Literal

from torch import nn

from fedretina.reuse import AlphaMode, Form, ReuseObjective
from fedretina.study.student import Student
from fedretina.train import ReuseTerm, seeded, warm_up_inputs

Start = Literal["scratch", "best-peer"]


def begin(student: Student, start: Start) -> nn.Module:
    """Make the target's network with the start that was asked for."""
    return student.started() if start == "best-peer" else student.fresh()


def term(student: Student, model: nn.Module, *, alpha: AlphaMode = "learned", form: Form | None = None) -> ReuseTerm:
    """Make Eq. 1's second term for a model that is to be trained: all sources, the task's layers, V warm."""
    models = student.peers.models
    with seeded(student.training, "V"):
        objective = ReuseObjective.probe(
            model.to(student.device),
            models,
            tuple(student.task.layers),
            student.example.to(student.device),
            gamma=student.setting.gamma,
            alpha=alpha,
            form=form,
        )
    reuse = ReuseTerm(models, objective, student.peers.risks, training=student.training)
    reuse.warm_up(model, warm_up_inputs(student.task, student.splits).to(student.device))
    return reuse


def regularised(
    student: Student, *, start: Start = "scratch", alpha: AlphaMode = "learned", form: Form | None = None
) -> nn.Module:
    """Train with Eq. 1; alpha is noted beside the result."""
    model = begin(student, start)
    reuse = term(student, model, alpha=alpha, form=form)
    student.fit(model, terms=[reuse])
    student.numbers |= {f"alpha.{name}": weight for name, weight in reuse.alpha.items()}
    return model
