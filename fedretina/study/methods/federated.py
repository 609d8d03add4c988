"""Federated averaging, and variants with local layers: FedAvg, FedProx, FedPer, FedBN.

McMahan et al., AISTATS 2017 (FedAvg); Li et al., MLSys 2020 (FedProx); Arivazhagan et al., 2019 (FedPer); Li et al., ICLR
2021 (FedBN). All domains train together from one initial model, on the labels that they have; the target is measured. Every
epoch is a round, in which each domain takes as many steps as the target. So the target takes as many steps as with all other
methods. Classifiers are always local, because the identities differ (as in FedPav, Zhuang et al., ACM MM 2020).
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
ChooseLayers = Callable[[nn.Module], set[str]]
LAST = 3


def no_layers(model: nn.Module) -> set[str]:
    """Choose no local layers except the classifier: FedAvg."""
    del model
    return set()


def batchnorm_layers(model: nn.Module) -> set[str]:
    """Choose every BatchNorm as a local layer: FedBN."""
    return {name for name, module in model.named_modules() if isinstance(module, _BatchNorm)}


def last_layers(model: nn.Module) -> set[str]:
    """Choose the last three submodules as local layers: FedPer.

    Examples
    --------
    >>> sorted(last_layers(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))))
    ['1', '2', '3']
    """
    return {name for name, _ in list(model.named_children())[-LAST:]}


class Proximal(Term):
    """FedProx's term: mu / 2 times the squared distance of the weights from those at the start of the round.

    Parameters
    ----------
    model : Module
        The model in training.
    mu : float
        Weight of the term, 0 or more.
    """

    def __init__(self, model: nn.Module, mu: float) -> None:
        self.model, self.mu = model, mu
        self.anchor: Mapping[str, Tensor] = {}

    def loss(self, forward: ForwardPass) -> Tensor | None:
        """Compute the term over the shared parameters; None if mu is 0."""
        del forward
        if not self.mu:
            return None
        own = dict(self.model.named_parameters())
        squares = [(own[name] - value).square().sum() for name, value in self.anchor.items() if name in own]
        return self.mu / 2 * torch.stack(squares).sum()


@dataclass(frozen=True)
class FederatedDomain:
    """One domain of the federation.

    Parameters
    ----------
    learner : Learner
        Trains the domain's model.
    weight : float
        Weight in the average: the number of labelled samples.
    proximal : Proximal
        FedProx's term of the loss.
    """

    learner: Learner
    weight: float
    proximal: Proximal

    def start_round(self, shared: State) -> None:
        """Load the shared parameters."""
        self.learner.model.load_state_dict(shared, strict=False)
        self.proximal.anchor = {name: value.clone() for name, value in shared.items()}


def average_states(states: Sequence[State], weights: Sequence[float], names: Sequence[str]) -> State:
    """Compute the weighted mean of the named tensors; tensors of integers, such as counters, are the first state's.

    Examples
    --------
    >>> average_states([{"w": torch.ones(1)}, {"w": torch.zeros(1)}], [3, 1], ["w"])
    {'w': tensor([0.7500])}
    """
    shares = [weight / sum(weights) for weight in weights]
    mean = {}
    for name in names:
        first = states[0][name]
        summed = [share * state[name] for share, state in zip(shares, states, strict=True)]
        mean[name] = torch.stack(summed).sum(0) if first.is_floating_point() else first.clone()
    return mean


def federated(
    student: Student, *, local_layers: ChooseLayers = no_layers, mu: float = 0.0, fine_tuning: float = 0.0
) -> nn.Module:
    """Train all domains together.

    Parameters
    ----------
    student : Student
        The target.
    local_layers : callable
        Chooses submodules that are not averaged, by name; the classifier never is.
    mu : float, default 0
        Weight of FedProx's term.
    fine_tuning : float, default 0
        Fraction of the epochs, at the end, in which the target trains alone.
    """
    target = student.new_model()
    domains = [_federated_domain(student, student.setting.target, target, student.labelled, mu=mu)]
    for name in student.setting.sources:
        splits = student.task.splits(name)
        model = seeded_model(student.task, name, splits.classes, student.training, "target")
        domains.append(_federated_domain(student, name, model, splits, mu=mu))
    local = {*local_layers(target), student.task.head} - {""}
    names = [key for key in target.state_dict() if not any(key.startswith(f"{name}.") for name in local)]
    shared = {name: value.clone() for name, value in target.state_dict().items() if name in names}
    total = student.training.epochs
    joint_epochs = max(1, round((1 - fine_tuning) * total))
    for epoch in range(joint_epochs):
        for domain in domains:
            domain.start_round(shared)
            _train(student, domain, epoch)
        states = [domain.learner.model.state_dict() for domain in domains]
        shared = average_states(states, [domain.weight for domain in domains], names)
        student.on_progress(student.setting.method, epoch + 1, total)
    domains[0].start_round(shared)
    for epoch in range(joint_epochs, total):
        _train(student, domains[0], epoch)
        student.on_progress(student.setting.method, epoch + 1, total)
    return target


def _federated_domain(student: Student, name: str, model: nn.Module, splits: Splits, *, mu: float) -> FederatedDomain:
    proximal = Proximal(model, mu)
    batches = DomainBatches(student.task, splits, student.training.batch_size)
    terms = [SupervisedLoss(student.task), proximal]
    learner = Learner(
        model, student.task, student.training, name=f"{name}/{student.setting.method}", batches=batches, terms=terms
    )
    return FederatedDomain(learner, len(splits.labels), proximal)


def _train(student: Student, domain: FederatedDomain, epoch: int) -> None:
    domain.learner.train(EpochRange(epoch, epoch + 1, student.training.epochs), student.samples, lambda *_: None)
