"""Federated averaging, and variants with local layers: FedAvg, FedProx, FedPer, FedBN.

McMahan et al., AISTATS 2017 (FedAvg); Li et al., MLSys 2020 (FedProx); Arivazhagan et al., 2019 (FedPer); Li et al., ICLR
2021 (FedBN). All domains train together from one initial model, on the labels that they have; the target is measured. Every
epoch is a round, in which each domain takes as many steps as the target. So the target takes as many steps as with all other
methods. Classifiers are always local, because the identities differ (as in FedPav, Zhuang et al., ACM MM 2020).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedretina.study.student import Student
from fedretina.study.traffic import Traffic
from fedretina.task import Splits
from fedretina.train import (
    DomainBatches,
    EpochRange,
    ForwardPass,
    Learner,
    SupervisedLoss,
    Term,
    average_states,
    body_span,
    seeded_model,
    segment_spans,
)

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
    name : str
        The domain.
    learner : Learner
        Trains the domain's model.
    weight : float
        Weight in the average: the number of labelled samples.
    proximal : Proximal
        FedProx's term of the loss.
    epochs : int
        Epochs of all rounds together.
    total : int
        Epochs of the cycle of the learning rate.
    samples : int
        Number of samples from which the steps of an epoch follow.
    """

    name: str
    learner: Learner
    weight: float
    proximal: Proximal
    epochs: int
    total: int
    samples: int

    def train_round(self, number: int, rounds: int, shared: State) -> State:
        """Train one round (from 1) from the shared parameters; return the model's state."""
        self.load(shared)
        span = body_span(number, rounds, self.epochs)
        self.train(span.first, span.last)
        return self.learner.model.state_dict()

    def load(self, shared: State) -> None:
        """Load the shared parameters."""
        self.learner.model.load_state_dict(shared, strict=False)
        self.proximal.anchor = {name: value.clone() for name, value in shared.items()}

    def train(self, first: int, last: int) -> None:
        """Train some epochs."""
        self.learner.train(EpochRange(first, last, self.total), self.samples, lambda *_: None)


def federated(
    student: Student,
    *,
    local_layers: ChooseLayers = no_layers,
    mu: float = 0.0,
    fine_tuning: float = 0.0,
    equal_budget: bool = False,
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
    equal_budget : bool, default False
        Whether the domains take as many steps, and send as many models, as in co-training in turn (`joint`). The target
        then trains its last `alone_last` epochs alone.
    """
    target, setting, total = student.new_model(), student.setting, student.training.epochs
    alone = min(setting.alone_last, total - 1) if equal_budget else min(round(fine_tuning * total), total - 1)
    together = total - alone
    peer_epochs = 2 * student.training.home_epochs + together // max(1, len(setting.sources)) if equal_budget else together
    domains = [_domain(student, setting.target, target, student.labelled, mu=mu, budget=(together, total, student.samples))]
    for name in setting.sources:
        splits = student.task.splits(name)
        model = seeded_model(student.task, name, splits.classes, student.training, "target")
        budget = (peer_epochs, peer_epochs, len(splits.labels)) if equal_budget else (together, total, student.samples)
        domains.append(_domain(student, name, model, splits, mu=mu, budget=budget))
    local = {*local_layers(target), student.task.head} - {""}
    names = [key for key in target.state_dict() if not any(key.startswith(f"{name}.") for name in local)]
    shared = {name: value.clone() for name, value in target.state_dict().items() if name in names}
    traffic, receivers = Traffic(), [domain.name for domain in domains]
    rounds = _equal_rounds(student, len(domains)) if equal_budget else together
    for number in range(1, rounds + 1):
        states = [domain.train_round(number, rounds, shared) for domain in domains]
        if equal_budget:
            traffic.send("shared", shared, receivers)
            for name, state in zip(receivers, states, strict=True):
                traffic.reply("shared", name, {key: state[key] for key in names})
        shared = average_states(states, [domain.weight for domain in domains], names)
        student.on_progress(setting.method, body_span(number, rounds, together).last, total)
    domains[0].load(shared)
    domains[0].train(together, total)
    if equal_budget:
        traffic.send("shared", shared, receivers[:1])
        student.metrics |= traffic.metrics()
    return target


def _equal_rounds(student: Student, domains: int) -> int:
    """Count the rounds in which about as many models travel as in co-training in turn, at most one per epoch."""
    setting, sources = student.setting, domains - 1
    spans = segment_spans(student.training, average_every=setting.average_every, alone_last=setting.alone_last)
    transfers = 2 * sources * (1 + setting.body_rounds) + 4 * len(spans) + 2
    return max(1, min(round(transfers / (2 * domains)), student.training.epochs - setting.alone_last))


def _domain(
    student: Student, name: str, model: nn.Module, splits: Splits, *, mu: float, budget: tuple[int, int, int]
) -> FederatedDomain:
    proximal = Proximal(model, mu)
    batches = DomainBatches(student.task, splits, student.training.batch_size)
    terms = [SupervisedLoss(student.task), proximal]
    learner = Learner(
        model, student.task, student.training, name=f"{name}/{student.setting.method}", batches=batches, terms=terms
    )
    return FederatedDomain(name, learner, len(splits.labels), proximal, *budget)
