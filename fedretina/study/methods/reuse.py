"""Eq. 1: the target's layers reconstruct the sources' (Lou et al., ICME 2019), from scratch or from the best source."""

from typing import Literal

from torch import nn

from fedretina.reuse import AlphaMode, Form, ReuseObjective
from fedretina.study.student import Student
from fedretina.train import ReuseTerm, seeded, warm_up_inputs

Start = Literal["scratch", "best-peer"]


def initial_model(student: Student, start: str) -> nn.Module:
    """Make the target's network: new ("scratch"), from the best source ("best-peer"), or from a source by its name."""
    if start in student.setting.sources:
        return student.model_from(start)
    return student.model_from_best() if start == "best-peer" else student.new_model()


def reuse_term(student: Student, model: nn.Module, *, alpha: AlphaMode = "learned", form: Form | None = None) -> ReuseTerm:
    """Make the second term of Eq. 1 for a model, with all sources, the task's layers and a warm V."""
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
    term = ReuseTerm(models, objective, student.peers.risks, training=student.training)
    term.warm_up(model, warm_up_inputs(student.task, student.splits).to(student.device))
    return term


def reuse(
    student: Student, *, start: Start = "scratch", alpha: AlphaMode = "learned", form: Form | None = None
) -> nn.Module:
    """Train with Eq. 1. The metrics contain the weights of the sources, as "alpha.<source>"."""
    model = initial_model(student, start)
    term = reuse_term(student, model, alpha=alpha, form=form)
    student.fit(model, terms=[term])
    student.metrics |= {f"alpha.{name}": weight for name, weight in term.alpha.items()}
    return model
