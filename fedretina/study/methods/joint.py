"""Domains that teach each other: joint bodies of the sources, and co-training of the target with them.

The flow of data is that of `fedretina.strategies.peer_reuse`, in one process: the same averages, turns and segments. Three
things differ: there is no Eq. 1, which the app adds by default; pseudo-labels are made anew every fourth epoch, and not
after each average too; and sources train `home_epochs` at home, without the local epochs of a first round.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import nn

from fedretina.features import adapt_batchnorm
from fedretina.reuse import CommitteeOptions, theorem_alpha
from fedretina.study.methods.committee import committee, committee_metrics, publish_home_models
from fedretina.study.student import Student
from fedretina.study.traffic import Traffic
from fedretina.train import (
    Body,
    ClassMemoryTerm,
    CoTraining,
    DomainBatches,
    EpochRange,
    Learner,
    OnEpoch,
    PseudoLabelBatches,
    PseudoLabels,
    Segment,
    SupervisedLoss,
    TurnRules,
    TurnsBy,
    average_states,
    choose_sources,
    clean_batches,
    held_out_risk,
    load_at_target,
    make_schedule,
    mix_bodies,
    model_arrays,
    seeded_model,
    segment_spans,
    shared_body,
    tensor_of,
    train_from,
    train_jointly,
)

JOINT = "joint"
"""The joint body's name among the peers."""


class JointSources:
    """The sources after their joint training: their models, and the average of their bodies.

    It is trained once for all targets and methods, and stored. Without body rounds the models are those from home.

    Parameters
    ----------
    student : Student
        The target, whose setting names the sources.
    rounds : int
        Number of body rounds; 0: none. A single source has none.
    traffic : Traffic
        Counts the transfers.
    """

    def __init__(self, student: Student, *, rounds: int, traffic: Traffic) -> None:
        self.student, self.traffic = student, traffic
        self.names = sorted(student.setting.sources)
        self.splits = {name: student.task.splits(name) for name in self.names}
        self.samples = {name: len(splits.labels) for name, splits in self.splits.items()}
        self.models = {name: self._home(name) for name in self.names}
        rounds = min(rounds, student.training.home_epochs)  # as under the strategy: one round an epoch at most
        self.body: Body | None = self._joint_body(rounds) if rounds and len(self.names) > 1 else None

    def learner(self, name: str, purpose: str) -> Learner:
        """Make a learner that continues with a source's model, on all its labels."""
        student = self.student
        batches = DomainBatches(student.task, self.splits[name], student.training.batch_size)
        return Learner(self.models[name], student.task, student.training, name=f"{name}/{purpose}", batches=batches)

    def _home(self, name: str) -> nn.Module:
        student = self.student
        model = seeded_model(student.task, name, self.splits[name].classes, student.training, "source")
        model.load_state_dict({key: tensor_of(value) for key, value in student.home_model(name).items()})
        return model

    def _joint_body(self, rounds: int) -> Body:
        """Average the bodies in all rounds, or load the stored result; its traffic is stored with it."""
        student, head = self.student, self.student.task.head
        files = {name: f"{name}-joint-{student.setting.body_key}" for name in (*self.names, JOINT)}
        stored = {name: student.store.load_model(file) for name, file in files.items()}
        if any(arrays is None for arrays in stored.values()):
            body = self._train_jointly(rounds)
            for name, model in self.models.items():
                student.store.save_model(files[name], model_arrays(model))
            counted = {"traffic": torch.tensor([self.traffic.transfers, self.traffic.bytes])}
            student.store.save_model(files[JOINT], {name: value.numpy() for name, value in {**body, **counted}.items()})
            return body
        for name, model in self.models.items():
            model.load_state_dict({key: tensor_of(value) for key, value in (stored[name] or {}).items()})
        body = {key: tensor_of(value) for key, value in (stored[JOINT] or {}).items()}
        transfers, size = body.pop("traffic").tolist()
        self.traffic.add(transfers, size)
        assert body.keys() == shared_body(self.models[self.names[0]], head).keys()
        return body

    def _train_jointly(self, rounds: int) -> Body:
        student, traffic = self.student, self.traffic
        largest = max(self.names, key=lambda name: self.samples[name])

        def count(sent: Body, bodies: Mapping[str, Body], average: Body) -> None:
            del average
            traffic.send(JOINT, sent, self.names)
            for name, body in bodies.items():
                traffic.reply(JOINT, name, body)

        return train_jointly(
            {name: self.learner(name, "body") for name in self.names},
            self.samples,
            shared_body(self.models[largest], student.task.head),
            rounds=rounds,
            epochs=student.training.home_epochs,
            on_epoch=_progress(student, JOINT),
            on_round=count,
        )


def joint(
    student: Student,
    *,
    with_body: bool = True,
    co_training: CoTraining = "off",
    by: TurnsBy = "size",
    options: CommitteeOptions | None = None,
) -> nn.Module:
    """Train the target with its peers.

    Parameters
    ----------
    student : Student
        The target.
    with_body : bool, default True
        Whether the sources average their bodies first. Then the target starts from the average, which also votes.
    co_training : {"off", "one", "turns", "all"}, default "off"
        Which sources train on with the target: none, the best, one in turn, or all at once.
    by : {"size", "risk", "equal"}, default "size"
        How often a source has a turn.
    options : CommitteeOptions, optional
        Settings of the committee.
    """
    traffic = Traffic()
    sources = JointSources(student, rounds=student.setting.body_rounds if with_body else 0, traffic=traffic)
    publish_home_models(student, traffic)
    model = student.model_from_best()
    if sources.body is not None:
        load_at_target(model.to(student.device), sources.body, student.task, student.splits)
        traffic.send(JOINT, sources.body, [student.setting.target])
    labels = _pseudo_labels(student, model if sources.body is not None else None, options)
    target = _target_learner(student, model, labels)
    schedule = _schedule(student, sources, co_training, by)
    body = _co_train(student, target, sources, schedule)
    load_at_target(model, body, student.task, student.splits)
    done = schedule[-1].last if schedule else 0
    total = student.training.epochs
    target.train(EpochRange(done, total, total), student.samples, _progress(student, student.setting.method))
    student.metrics |= committee_metrics(labels)
    student.metrics |= traffic.metrics()
    return model


def _co_train(student: Student, target: Learner, sources: JointSources, schedule: list[Segment]) -> Body:
    """Train the segments of the schedule; return the shared body."""
    name, task, traffic = student.setting.target, student.task, sources.traffic
    stream = f"{JOINT}/{name}"  # a stream of its own, as under the strategy
    learners = {source: sources.learner(source, f"turns/{name}") for source in sources.names}
    body: Body = shared_body(target.model, task.head)
    for segment in schedule:
        span = EpochRange(segment.first, segment.last, student.training.epochs)
        train = partial(train_from, body=body, span=span, samples=student.samples)
        own = train(target, on_epoch=_progress(student, student.setting.method), target=student.splits)
        turns = segment.turns[name]
        bodies = {source: train(learners[source], on_epoch=_progress(student, source)) for source in turns}
        traffic.send(stream, body, [name, *turns])
        for sender, trained in {name: own, **bodies}.items():
            traffic.reply(stream, sender, trained)
        body = mix_bodies(own, bodies, sources.samples, share_target=student.setting.share_target)
    if schedule:
        traffic.send(stream, body, [name])
    return body


def _schedule(student: Student, sources: JointSources, co_training: CoTraining, by: TurnsBy) -> list[Segment]:
    """Make the schedule as `fedretina.strategies.PeerReuse` does. The metrics contain the risks."""
    if co_training == "off":
        return []
    setting, risks = student.setting, student.peers.risks
    own = held_out_risk(student.task, student.splits, setting.target, student.training)
    rules = TurnRules(co_training=co_training, by=by, risk_limit=setting.risk_limit, own_limit=setting.own_limit)
    weights = choose_sources(sources.samples, risks, own, rules).weights
    student.metrics |= {f"risk.{name}": risk for name, risk in risks.items()} | {"turns.sources": float(len(weights))}
    if own is not None:
        student.metrics["risk.own"] = own
    if not weights:
        return []
    spans = segment_spans(student.training, average_every=setting.average_every, alone_last=setting.alone_last)
    return make_schedule(spans, {setting.target: weights}, in_turn=co_training == "turns")


def _pseudo_labels(student: Student, joint_model: nn.Module | None, options: CommitteeOptions | None) -> PseudoLabels:
    """Make the committee: the sources as they are at home, the joint body, and the target itself."""
    models, risks = dict(student.peers.models), dict(student.peers.risks)
    if joint_model is not None:
        models[JOINT], risks[JOINT] = joint_model, min(risks.values())
    alpha = theorem_alpha(risks)
    return PseudoLabels(student.task, student.splits, models, alpha=alpha, training=student.training, options=options)


def _target_learner(student: Student, model: nn.Module, labels: PseudoLabels) -> Learner:
    batches = PseudoLabelBatches(labels, student.training.batch_size)
    terms = [SupervisedLoss(student.task), ClassMemoryTerm(labels)]
    name = f"{student.setting.target}/joint"  # all recipes draw the same batches
    return Learner(model, student.task, student.training, name=name, batches=batches, terms=terms)


def soup(student: Student) -> nn.Module:
    """Train one student from each source on the votes of the committee, and average their weights.

    Source: Wortsman et al., "Model soups", ICML 2022. It takes as many steps of the target as there are sources, and each.
    """
    students = [committee(student, start=name) for name in student.setting.sources]
    states = [model.cpu().state_dict() for model in students]
    mean = average_states(states, [1.0] * len(states), list(states[0]))
    model = students[0]
    model.load_state_dict(mean)
    adapt_batchnorm(model, clean_batches(student.task, student.splits))
    return model


def _progress(student: Student, name: str) -> OnEpoch:
    return lambda epoch, total, loss, speed: student.on_progress(name, epoch, total)
