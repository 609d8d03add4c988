"""A target at work on one message: it reuses its peers' models, or trains the baselines."""

import json

from flwr.app import ConfigRecord
from torch import nn

from fedretina.reuse import ReuseObjective, theorem_alpha
from fedretina.strategies.peer_reuse.admission import Admission, AdmissionLimits
from fedretina.strategies.peer_reuse.jobs import Work
from fedretina.strategies.peer_reuse.worker import DomainWorker
from fedretina.task import Splits
from fedretina.train import (
    Batches,
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
    seeded,
    source_risks,
    start_from,
    start_from_average,
    training_device,
    warm_up_inputs,
)


class TargetWorker(DomainWorker):
    """A domain that may be a target too."""

    def do(self, work: Work, weights: SourceWeights, limits: AdmissionLimits | None = None) -> None:
        """Do one kind of work; `weights` are the published models of the message's sources, `limits` for their admission."""
        if work == "reuse":
            peers = {source: arrays for source, arrays in weights.items() if source != self.domain}
            self.reuse(peers if limits is None else self._admit(peers, limits))
        if work == "describe":
            self.describe()
        if work in ("source", "source+baselines"):
            self.source()
        if work in ("baselines", "source+baselines"):
            self.baselines()
        self.say_round()

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

    def reuse(self, weights: SourceWeights) -> None:
        """Train with the sources' models, and publish the new version."""
        splits = self.task.splits(self.domain)
        peers = adapt_peers(weights, self.task, splits, self.domain)
        model = self.new_model(splits.classes, "target")
        name = f"{self.domain}/reuse"
        first = not self.checkpoints(name).last
        if first:
            self._start(model, splits, peers)
        equation = self._equation(model, splits, peers, warm_up=first)
        for peer in peers.models.values():
            peer.to(training_device(self.training))
        labels = self._pseudo_labels(splits, peers)
        learner = self._learner(model, splits, name, equation, labels)
        new = self.load(learner)
        if equation is not None and new:
            self.say(f"from now on reuses {', '.join(new)} too")
            equation.warm_up(model, warm_up_inputs(self.task, splits).to(training_device(self.training)), sources=new)
        self.train(learner, self._span(name), samples=len(splits.everything()))
        self._report_reuse(learner, peers, equation, labels)
        self.publish(model, self.job.streams.get(self.domain, self.domain))
        if self.job.round == self.training.rounds:
            self._finish(model, splits, weights)

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

    def _pseudo_labels(self, splits: Splits, peers: Peers) -> PseudoLabels | None:
        """Make the committee's pseudo-labels; None if the committee is off."""
        if not self.job.reuse.committee:
            return None
        alpha = self._theorem_alpha(peers)
        return PseudoLabels(self.task, splits, peers.models, alpha=alpha, training=self.training)

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

    def _report_reuse(self, learner: Learner, peers: Peers, equation: ReuseTerm | None, labels: PseudoLabels | None) -> None:
        """Report the target's metrics, the sources' weights and scores, and the metrics of the committee."""
        metrics = self.measure(learner)
        alpha = equation.alpha if equation is not None else self._theorem_alpha(peers)
        metrics |= {f"alpha.{source}": value for source, value in alpha.items()}
        metrics |= {f"peer.{source}": score for source, score in peers.scores.items()}
        if labels is not None:
            metrics |= {f"committee.{name}": value for name, value in labels.metrics.items()}
        self.report("reuse", metrics)

    def _start(self, model: nn.Module, splits: Splits, peers: Peers) -> None:
        """Give the target's model the configured start."""
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
