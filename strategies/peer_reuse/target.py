"""A target at work on one message: it reuses its peers' models, or trains the baselines."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flwr.app import ConfigRecord
from torch import nn

from fedretina.atomic import replacing, write_text
from fedretina.errors import BadArgument, Corrupt, FedRetinaError, translate_errors
from fedretina.reuse import CommitteeOptions, ReuseObjective, theorem_alpha
from fedretina.strategies.peer_reuse.admission import Admission, AdmissionLimits
from fedretina.strategies.peer_reuse.facts import OWN
from fedretina.strategies.peer_reuse.jobs import Work
from fedretina.strategies.peer_reuse.joint import PREFIX
from fedretina.strategies.peer_reuse.joint_worker import BodyWorker, body_in
from fedretina.strategies.peer_reuse.replies import error_record, lost_turn
from fedretina.task import Splits
from fedretina.train import (
    Batches,
    Checkpoints,
    ClassMemoryTerm,
    DomainBatches,
    EpochRange,
    Learner,
    Peers,
    PseudoLabelBatches,
    PseudoLabels,
    ReuseTerm,
    SourceWeights,
    SupervisedLoss,
    Term,
    adapt_peers,
    held_out_risk,
    load_at_target,
    seeded,
    shared_body,
    source_risks,
    start_from,
    start_from_average,
    tensor_of,
    train_from,
    training_device,
    warm_up_inputs,
)

JOINT_VOTER = "joint body"
"""The joint body's name in the committee; no domain can have it."""


@dataclass(frozen=True)
class TargetWithPeers:
    """A target's data, its sources' models, and its learner with the terms that depend on them."""

    splits: Splits
    peers: Peers
    equation: ReuseTerm | None
    labels: PseudoLabels | None
    learner: Learner


class TargetWorker(BodyWorker):
    """A domain that may be a target too."""

    def do(self, work: Work, records: SourceWeights, limits: AdmissionLimits | None = None) -> None:
        """Do one kind of work; `records` are the models and bodies of the message, `limits` for the models' admission."""
        bodies = {name: arrays for name, arrays in records.items() if name.startswith(PREFIX)}
        weights = {name: arrays for name, arrays in records.items() if name not in {self.domain, *bodies}}
        if limits is not None and work in ("reuse", "score", "co-train", "co-train+turn"):
            weights = dict(self._admit(weights, limits))
        match work:
            case "describe":
                self.describe()
            case "reuse":
                self.reuse(weights, bodies)
            case "score":
                self._score(weights, bodies)
        if work in ("source", "source+baselines"):
            self.source()
        if work in ("baselines", "source+baselines"):
            self.baselines()
        if work in ("co-train", "co-train+turn"):
            self._co_train(weights, bodies)
        if work in ("body", "turn", "co-train+turn"):
            self._help(work, bodies)
        self.say_round()

    def _help(self, work: Work, bodies: SourceWeights) -> None:
        """Train as a source. If that fails, the domain has lost its turn; other domains of its node have not."""
        try:
            if work == "body":
                self.body(bodies)
            else:
                self.turn(bodies)
        except FedRetinaError as error:
            self.reply[lost_turn(self.domain)] = error_record(str(error))

    def baselines(self) -> None:
        """Train the target without peers: once on its labels, and once on all labels."""
        splits = self.task.splits(self.domain)
        for name in ("alone", "full"):
            data = splits.with_all_labels() if name == "full" else splits
            learner = self.supervised_learner(self.new_model(data.classes, "target"), data, name)
            self.load(learner)
            self.train(learner, self._span(learner.name), samples=len(splits.everything()))
            if self.job.round == self.training.rounds:
                self.report(name, self.measure(learner))

    def reuse(self, weights: SourceWeights, bodies: SourceWeights) -> None:
        """Train with the sources' models, and publish the new version."""
        self._keep_joint_body(bodies)
        at_target = self._with_peers(weights, bodies)
        learner, model = at_target.learner, at_target.learner.model
        if self.has_span:
            self._finish_round(learner, bodies)
        else:
            self.train(learner, self._span(learner.name), samples=len(at_target.splits.everything()))
        self._report_reuse(at_target)
        self.publish(model, self.job.streams.get(self.domain, self.domain))
        if self.job.round == self.training.rounds:
            self._finish(model, at_target.splits, weights)

    def _with_peers(self, weights: SourceWeights, bodies: SourceWeights) -> TargetWithPeers:
        """Make the target's learner with its sources, and continue from its newest state."""
        splits = self.task.splits(self.domain)
        peers = adapt_peers(weights, self.task, splits, self.domain)
        model = self.new_model(splits.classes, "target")
        name = f"{self.domain}/reuse"
        joint = self._joint_model(splits)
        first = not self._has_state(name)
        if first:
            self._start(model, splits, peers, joint, bodies)
        equation = self._equation(model, splits, peers, warm_up=first)
        for peer in (*peers.models.values(), *joint.values()):
            peer.to(training_device(self.training))
        labels = self._pseudo_labels(splits, peers, joint) if self._trains else None
        learner = self._learner(model, splits, name, equation, labels)
        new = self._load(learner)
        if equation is not None and new:
            self.say(f"from now on reuses {', '.join(new)} too")
            equation.warm_up(model, warm_up_inputs(self.task, splits).to(training_device(self.training)), sources=new)
        return TargetWithPeers(splits, peers, equation, labels, learner)

    @property
    def _trains(self) -> bool:
        """Whether the job has epochs: the last message of a round has none if the round ended with an average."""
        return not self.has_span or self.span().first < self.span().last

    def _has_state(self, name: str) -> bool:
        if not self.has_span:
            return bool(self.checkpoints(name).last)
        return bool(Checkpoints(self.folder / name, self.span().first + 1).last)

    def _load(self, learner: Learner) -> tuple[str, ...]:
        """Continue from the newest state: of a round, or with shared bodies of an epoch."""
        if not self.has_span:
            return self.load(learner)
        return self.load_at(learner, self.span().first)[1]

    def _co_train(self, weights: SourceWeights, bodies: SourceWeights) -> None:
        """Train the epochs of a segment from the shared body, and send the body back."""
        self._require_sharing()
        (stream,) = self.own_bodies
        at_target, span = self._with_peers(weights, bodies), self.span()
        learner, samples = at_target.learner, len(at_target.splits.everything())
        start = EpochRange(self.load_at(learner, span.first)[0], span.last, span.total)
        shared, on_epoch = body_in(bodies, stream), self.on_epoch(learner.name)
        body = train_from(learner, shared, start, samples=samples, on_epoch=on_epoch, target=at_target.splits)
        self.save_at(learner, span.last, repeat_from=self.round_start)
        self._committee_metrics(at_target.labels)
        self.reply_body(stream, body)

    def _finish_round(self, learner: Learner, bodies: SourceWeights) -> None:
        """Train the epochs of the round that follow its last average, from the shared body if there was one."""
        span, done = self.span(), self.load_at(learner, self.span().first)[0]
        splits = self.task.splits(self.domain)
        for stream in self.own_bodies:
            load_at_target(learner.model, body_in(bodies, stream), self.task, splits)
        if done < span.last:
            learner.train(EpochRange(done, span.last, span.total), len(splits.everything()), self.on_epoch(learner.name))
            self.save_at(learner, span.last, repeat_from=self.round_start)

    def _score(self, weights: SourceWeights, bodies: SourceWeights) -> None:
        """Report the sources' scores on the target's labels, and its own risk. The schedule follows from them."""
        self._keep_joint_body(bodies)
        splits = self.task.splits(self.domain)
        scores = adapt_peers(weights, self.task, splits, self.domain).scores
        limited = self.job.reuse.own_limit > 0
        own = held_out_risk(self.task, splits, self.domain, self.training) if limited else None
        self.report("scores", scores if own is None else {**scores, OWN: own})

    def _require_sharing(self) -> None:
        if not self.share:
            raise BadArgument(
                "this node does not share weights that were trained on its data (share = false), but the server asked for "
                "them; set co-training = 'off' in the run's configuration"
            )

    def _keep_joint_body(self, bodies: SourceWeights) -> None:
        """Keep the joint body of the message: it votes in all rounds, but travels only once."""
        for stream in self.joint_bodies:
            self._joint_file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._joint_file) as temporary, temporary.open("wb") as file:
                np.savez(file, **body_in(bodies, stream))  # type: ignore[arg-type]  # numpy's stub takes a name for allow_pickle

    @property
    def _joint_file(self) -> Path:
        return self.folder / self.domain / "joint-body.npz"

    def _joint_model(self, splits: Splits) -> dict[str, nn.Module]:
        """Make a frozen model of the joint body, adapted to the target; none if there is no joint body."""
        if not self.job.reuse.body_rounds or not self._joint_file.exists():
            return {}
        remedy = "delete it; the joint body then has no vote"
        with translate_errors(Corrupt, f"{self._joint_file} cannot be used", remedy), self._joint_file.open("rb") as file:
            arrays = dict(np.load(file, allow_pickle=False))
        model = self.new_model(splits.classes, "target")
        load_at_target(model, {name: tensor_of(array) for name, array in arrays.items()}, self.task, splits)
        return {JOINT_VOTER: model.requires_grad_(False).eval()}

    def _admit(self, weights: SourceWeights, limits: AdmissionLimits) -> SourceWeights:
        """Leave out what is no sound next version of a peer, and report it."""
        used, refused = Admission(self.folder / self.domain, limits).admit(weights, self.job.round)
        for source, why in refused.items():
            self.say(f"refused the version of {source}: {why}; {'the last one' if source in used else 'none'} is used")
        if refused:
            self.reply[f"{self.domain}/refused"] = ConfigRecord(dict(refused))
        return used

    def _equation(self, model: nn.Module, splits: Splits, peers: Peers, *, warm_up: bool) -> ReuseTerm | None:
        """Make the second term of Eq. 1; None if gamma is 0. With `warm_up`, V is fitted before the training begins."""
        reuse = self.job.reuse
        if not reuse.gamma:
            return None
        example = self.task.prepare(splits.inputs[:2])
        with seeded(self.training, f"{self.domain}/V"):
            objective = ReuseObjective.probe(model, peers.models, self.layers, example, gamma=reuse.gamma, alpha=reuse.alpha)
        term = ReuseTerm(peers.models, objective, self._risks(peers), training=self.training)
        if warm_up:
            term.warm_up(model, warm_up_inputs(self.task, splits))
        return term

    def _pseudo_labels(self, splits: Splits, peers: Peers, joint: Mapping[str, nn.Module]) -> PseudoLabels | None:
        """Make the committee's pseudo-labels; None if the committee is off. The joint body's risk is the smallest one."""
        if not self.job.reuse.committee:
            return None
        risks = self._risks(peers)
        risks |= dict.fromkeys(joint, min(risks.values()))
        voters = {**peers.models, **joint}
        uniform = self.job.reuse.alpha == "uniform"
        alpha = dict.fromkeys(voters, 1 / len(voters)) if uniform else theorem_alpha(risks)
        options = CommitteeOptions(new_classes_below=self.job.reuse.new_classes_below)
        return PseudoLabels(self.task, splits, voters, alpha=alpha, training=self.training, options=options)

    def _learner(
        self, model: nn.Module, splits: Splits, name: str, equation: ReuseTerm | None, labels: PseudoLabels | None
    ) -> Learner:
        """Join the terms, and choose the batches: with pseudo-labels, or for Eq. 1 alone half of unlabelled samples."""
        size = self.training.batch_size
        memory = ClassMemoryTerm(labels) if labels is not None else None
        terms: list[Term] = [term for term in (SupervisedLoss(self.task), equation, memory) if term is not None]
        batches: Batches = DomainBatches(self.task, splits, size, unlabelled=equation is not None)
        if labels is not None:
            batches = PseudoLabelBatches(labels, size)
        return Learner(model, self.task, self.training, name=name, batches=batches, terms=terms)

    def _theorem_alpha(self, peers: Peers) -> dict[str, float]:
        if self.job.reuse.alpha == "uniform":
            return dict.fromkeys(peers.models, 1 / len(peers.models))
        return theorem_alpha(self._risks(peers))

    def _risks(self, peers: Peers) -> dict[str, float]:
        before = self.job.scores.get(self.domain, {})
        scores = {name: [*before.get(name, ()), score] for name, score in peers.scores.items()}
        return source_risks(scores, self.job.reuse.alpha)

    def _report_reuse(self, at_target: TargetWithPeers) -> None:
        """Report the target's metrics, the sources' weights and scores, and the metrics of the committee."""
        peers, equation, labels = at_target.peers, at_target.equation, at_target.labels
        metrics = self.measure(at_target.learner)
        alpha = equation.alpha if equation is not None else self._theorem_alpha(peers)
        metrics |= {f"alpha.{source}": value for source, value in alpha.items()}
        metrics |= {f"peer.{source}": score for source, score in peers.scores.items()}
        metrics |= {f"committee.{name}": value for name, value in self._committee_metrics(labels).items()}
        self.report("reuse", metrics)

    def _committee_metrics(self, labels: PseudoLabels | None) -> dict[str, float]:
        """Give the metrics of the last labelling; they are kept, since the end of the round may come in another message."""
        file = self.folder / self.domain / "committee.json"
        if labels is not None and self.has_span:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, json.dumps(labels.metrics))
        if labels is not None or not file.exists():
            return labels.metrics if labels is not None else {}
        return {name: float(value) for name, value in json.loads(file.read_text()).items()}

    def _start(
        self,
        model: nn.Module,
        splits: Splits,
        peers: Peers,
        joint: Mapping[str, nn.Module],
        bodies: SourceWeights,
    ) -> None:
        """Give the target's model the configured start, or that of the shared body."""
        shared = [body_in(bodies, stream) for stream in self.own_bodies]
        shared += [shared_body(voter, self.task.head) for voter in joint.values()]
        if shared:
            load_at_target(model, shared[0], self.task, splits)
            self.say("starts from the shared body")
            return
        init, head = self.job.reuse.init, self.task.head
        fitting = peers.compatible_with(model, head) if init in ("best-peer", "average") else []
        if init == "best-peer" and (best := peers.best(model, head)):
            start_from(model, peers.models[best], head)
            self.say(f"starts from {best}")
        elif fitting:
            start_from_average(model, [peers.models[name] for name in fitting], self.task, splits)
            self.say(f"starts from the average of {', '.join(fitting)}")
        else:
            why = "" if init in ("given", "scratch") else ": no source has its kind of model"
            self.say(f"starts from {'the weights given' if init == 'given' else 'new weights, or those of its file'}{why}")

    def _finish(self, model: nn.Module, splits: Splits, weights: SourceWeights) -> None:
        """Report examples of the last model's results, and train the last baseline."""
        self._note("showcase", json.dumps(self.task.showcase(model, self.domain)))
        if self.job.baselines:
            self._finetune(splits, adapt_peers(weights, self.task, splits, self.domain))

    def _finetune(self, splits: Splits, peers: Peers) -> None:
        """Train the baseline of transfer learning: the best source's last version, on the target's labels."""
        model = self.new_model(splits.classes, "target")
        best = peers.best(model, self.task.head)
        if best is None:
            self.say("no source has the target's kind of model, so none is fine-tuned")
            return
        start_from(model, peers.models[best], self.task.head)
        learner = self.supervised_learner(model, splits, "finetune")
        total = self.training.epochs
        learner.train(EpochRange(0, total, total), len(splits.everything()), self.on_epoch(learner.name))
        self.report("finetune", self.measure(learner))
        self._note("finetune", best)

    def _note(self, name: str, text: str) -> None:
        """Put a text into the reply: into the record of that name, under the domain."""
        self.reply.config_records.setdefault(name, ConfigRecord())[self.domain] = text

    def _span(self, name: str) -> EpochRange:
        """Choose the epochs of this round: all rounds are one cycle, and epochs of missed rounds are trained now."""
        epochs = self.training.local_epochs
        return EpochRange(self.checkpoints(name).last * epochs, self.job.round * epochs, self.training.epochs)
