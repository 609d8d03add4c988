"""Federated averaging, and its kin that keep a part at home: FedAvg, FedProx, FedPer, FedBN.

McMahan et al., AISTATS 2017 (FedAvg); Li et al., MLSys 2020 (FedProx); Arivazhagan et al., 2019 (FedPer); Li et al., ICLR
2021 (FedBN). All domains train together from one start, on the labels that they have; the target is measured. Every epoch
is a round, in which each domain takes as many steps as the target, so the target takes its budget of steps as under all
other methods. Classifiers stay at home always: identities differ (as in FedPav, Zhuang et al., ACM MM 2020).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedretina.study.student import Student
from fedretina.task import Splits
from fedretina.train import DomainBatches, EpochRange, ForwardPass, Learner, SupervisedLoss, Term, seeded_model

State = dict[str, Tensor]
AtHome = Callable[[nn.Module], set[str]]
LAST = 3


def nothing(model: nn.Module) -> set[str]:
    """Keep nothing but the classifier at home: FedAvg."""
    del model
    return set()


def norms(model: nn.Module) -> set[str]:
    """Keep every BatchNorm at home: FedBN."""
    return {name for name, module in model.named_modules() if isinstance(module, _BatchNorm)}


def last_layers(model: nn.Module) -> set[str]:
    """Keep the last three submodules at home: FedPer.

    Examples
    --------
    >>> sorted(last_layers(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))))
    ['1', '2', '3']
    """
    return {name for name, _ in list(model.named_children())[-LAST:]}


class Proximal(Term):
    """FedProx's term: mu / 2 times the squared distance of the weights from those that the round began with.

    Parameters
    ----------
    model : Module
        In training.
    mu : float
        0 or more.
    """

    def __init__(self, model: nn.Module, mu: float) -> None:
        self.model, self.mu = model, mu
        self.anchor: Mapping[str, Tensor] = {}

    def loss(self, forward: ForwardPass) -> Tensor | None:
        """Measure the distance, over what is shared; None where mu is 0."""
        del forward
        if not self.mu:
            return None
        own = dict(self.model.named_parameters())
        squares = [(own[name] - value).square().sum() for name, value in self.anchor.items() if name in own]
        return self.mu / 2 * torch.stack(squares).sum()


@dataclass(frozen=True)
class Site:
    """A domain in training, how much it counts, and what its loss has beside the labels."""

    learner: Learner
    weight: float
    proximal: Proximal

    def begin(self, shared: State) -> None:
        """Take over what is shared."""
        self.learner.model.load_state_dict(shared, strict=False)
        self.proximal.anchor = {name: value.clone() for name, value in shared.items()}


def averaged(states: Sequence[State], weights: Sequence[float], names: Sequence[str]) -> State:
    """Average what is shared; what is no float, such as a counter, is the first's.

    Examples
    --------
    >>> averaged([{"w": torch.ones(1)}, {"w": torch.zeros(1)}], [3, 1], ["w"])
    {'w': tensor([0.7500])}
    """
    shares = [weight / sum(weights) for weight in weights]
    mean = {}
    for name in names:
        first = states[0][name]
        summed = [share * state[name] for share, state in zip(shares, states, strict=True)]
        mean[name] = torch.stack(summed).sum(0) if first.is_floating_point() else first.clone()
    return mean


def federated(student: Student, *, at_home: AtHome = nothing, mu: float = 0.0, tuned: float = 0.0) -> nn.Module:
    """Train all domains together; for the last part, `tuned` of the epochs, the target trains by itself."""
    target = student.fresh()
    sites = [_site(student, student.setting.target, target, student.labelled, mu=mu)]
    for name in student.setting.sources:
        splits = student.task.splits(name)
        model = seeded_model(student.task, name, splits.classes, student.training, "target")
        sites.append(_site(student, name, model, splits, mu=mu))
    kept = {*at_home(target), student.task.head} - {""}
    names = [key for key in target.state_dict() if not any(key.startswith(f"{name}.") for name in kept)]
    shared = {name: value.clone() for name, value in target.state_dict().items() if name in names}
    total = student.training.epochs
    together = max(1, round((1 - tuned) * total))
    for epoch in range(together):
        for site in sites:
            site.begin(shared)
            _train(student, site, epoch)
        states = [site.learner.model.state_dict() for site in sites]
        shared = averaged(states, [site.weight for site in sites], names)
        student.on_progress(student.setting.method, epoch + 1, total)
    sites[0].begin(shared)
    for epoch in range(together, total):
        _train(student, sites[0], epoch)
        student.on_progress(student.setting.method, epoch + 1, total)
    return target


def _site(student: Student, domain: str, model: nn.Module, splits: Splits, *, mu: float) -> Site:
    proximal, name = Proximal(model, mu), f"{domain}/{student.setting.method}"
    batches = DomainBatches(student.task, splits, student.training.batch_size)
    terms = [SupervisedLoss(student.task), proximal]
    learner = Learner(model, student.task, student.training, name=name, batches=batches, terms=terms)
    return Site(learner, len(splits.labels), proximal)


def _train(student: Student, site: Site, epoch: int) -> None:
    site.learner.train(EpochRange(epoch, epoch + 1, student.training.epochs), student.samples, lambda *_: None)
