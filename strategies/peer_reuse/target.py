"""The target at work on one message: reuses its peers' models, and trains the baselines beside."""

import json

from flwr.app import ConfigRecord
from torch import nn

from fedretina.reuse import ReuseObjective, theorem_alpha
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

BASELINES = ("alone", "full")


class TargetWorker(DomainWorker):
    """A domain that may be the target, too."""

    def do(self, work: str, weights: SourceWeights) -> None:
        """Do one kind of work; `weights` are the sources' published models."""
        if work == "reuse":
            self.reuse(weights)
        else:
            {"describe": self.describe, "source": self.source, "baselines": self.baselines}[work]()

    def baselines(self) -> None:
        """Train the target alone, on its labels and on all labels."""
        splits = self.task.splits(self.domain)
        for name in BASELINES:
            data = splits.with_all_labels() if name == "full" else splits
            learner = self.supervised_learner(self.new_model(data.classes, "target"), data, name)
            self.load(learner)
            self.train(learner, self._span(learner.name), samples=len(splits.everything()))
            if self.job.round == self.training.rounds:
                self.report(name, self.measure(learner))

    def reuse(self, weights: SourceWeights) -> None:
        """Train with the sources' models, and publish the version."""
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
        self.publish(model)
        if self.job.round == self.training.rounds:
            self._finish(model, splits, weights)

    def _equation(self, model: nn.Module, splits: Splits, peers: Peers, *, warm_up: bool) -> ReuseTerm | None:
        """Make Eq. 1's second term; None where gamma is 0.

        V is warmed up where the training begins; later it is that of the round before.
        """
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
        """Make the committee's pseudo-labels; None where it is turned off."""
        if not self.job.reuse.committee:
            return None
        alpha = self._theorem_alpha(peers)
        return PseudoLabels(self.task, splits, peers.models, alpha=alpha, training=self.training)

    def _learner(
        self, model: nn.Module, splits: Splits, name: str, equation: ReuseTerm | None, labels: PseudoLabels | None
    ) -> Learner:
        """Join the terms, and choose the batches: of pseudo-labelled samples, or for Eq. 1 alone half unlabelled."""
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
        scores = {name: [*self.job.scores.get(name, ()), score] for name, score in peers.scores.items()}
        return source_risks(scores, self.job.reuse.alpha)

    def _report_reuse(self, learner: Learner, peers: Peers, equation: ReuseTerm | None, labels: PseudoLabels | None) -> None:
        """Report the target's metrics, the sources' weights and scores, and what the committee labelled."""
        metrics = self.measure(learner)
        alpha = equation.alpha if equation is not None else self._theorem_alpha(peers)
        metrics |= {f"alpha.{source}": value for source, value in alpha.items()}
        metrics |= {f"peer.{source}": score for source, score in peers.scores.items()}
        if labels is not None:
            metrics |= {f"committee.{name}": value for name, value in labels.metrics.items()}
        self.report("reuse", metrics)

    def _start(self, model: nn.Module, splits: Splits, peers: Peers) -> None:
        """Give the target the configured start; until here it is as the task made it."""
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
        """Show examples of the last model, and train the last baseline."""
        shown = self.task.showcase(model, self.domain)
        self.reply["showcase"] = ConfigRecord({"json": json.dumps(shown)})
        if self.job.baselines:
            self._finetune(splits, adapt_peers(weights, self.task, splits, self.domain))

    def _finetune(self, splits: Splits, peers: Peers) -> None:
        """Train the baseline of transfer: the best source's last version, on the labels, all epochs at once."""
        model = self.new_model(splits.classes, "target")
        best = peers.best(model, self.task.head)
        if best is None:
            self.say("no source has the target's kind of model: there is none to fine-tune")
            return
        start_from(model, peers.models[best], self.task.head)
        learner = self.supervised_learner(model, splits, "finetune")
        total = self.training.epochs
        learner.train(EpochRange(0, total, total), len(splits.everything()), self.on_epoch(learner.name))
        self.report("finetune", self.measure(learner))
        self.reply["finetune"] = ConfigRecord({"source": best})

    def _span(self, name: str) -> EpochRange:
        """Say which epochs the target trains: one cycle over all rounds; epochs that it missed are made up for."""
        epochs = self.training.local_epochs
        return EpochRange(self.checkpoints(name).last * epochs, self.job.round * epochs, self.training.epochs)
