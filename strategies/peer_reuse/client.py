"""The node's half: what a domain does with a message of `PeerReuse`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from torch import Tensor, nn

from fedretina.errors import BadArgument, FedRetinaError
from fedretina.reuse import ReuseObjective, Taps, theorem_alpha
from fedretina.strategies.peer_reuse.compute import device
from fedretina.strategies.peer_reuse.jobs import Job
from fedretina.strategies.peer_reuse.kept import Kept
from fedretina.strategies.peer_reuse.learner import Learner, Reuse, Span, seeded, seeded_model
from fedretina.strategies.peer_reuse.peers import Peers, arrays_of, meet, risks_over, start_from, start_from_average
from fedretina.strategies.peer_reuse.teaching import Teaching
from fedretina.task import Splits, Task

YARDSTICKS = ("alone", "full")
WARM_SAMPLES = 1024
Weights = Mapping[str, Mapping[str, np.ndarray]]


class PeerReuseClient:
    """Answers the messages of `PeerReuse` for the domains of one node.

    Parameters
    ----------
    task : Task
        The problem, over the domains of this node.
    folder : Path
        Where the node keeps its models in training between messages.

    Examples
    --------
    In a ClientApp::

        @app.train()
        def train(message: Message, context: Context) -> Message:
            return PeerReuseClient(task, folder)(message, context)
    """

    def __init__(self, task: Task, folder: Path) -> None:
        self.task, self.folder = task, folder

    def __call__(self, message: Message, context: Context) -> Message:
        """Do the work that the message names, domain by domain, and reply."""
        job = Job.of(message)
        peers = {
            name: {key: array.numpy() for key, array in record.items()}
            for name, record in message.content.array_records.items()
        }
        reply = RecordDict()
        try:
            for domain, work in job.work.items():
                Visit(self.task, self.folder / job.run, job, domain, reply).do(work, peers)
        except FedRetinaError as error:
            reply = RecordDict({"error": ConfigRecord({"text": f"{domain}: {error}"})})
        return Message(reply, reply_to=message)


class Visit:
    """One domain's part of one message; its results go into `reply`."""

    def __init__(self, task: Task, folder: Path, job: Job, domain: str, reply: RecordDict) -> None:
        self.task, self.folder, self.job, self.plan = task, folder, job, job.plan
        self.domain, self.reply = domain, reply

    def do(self, work: str, peers: Weights) -> None:
        """Do one kind of work."""
        if work == "reuse":
            self._reuse(peers)
        else:
            {"describe": self._describe, "source": self._source, "yardsticks": self._yardsticks}[work]()

    def _describe(self) -> None:
        """Open the data and make the model, so that what is wrong with them is said before anything is trained."""
        splits = self.task.splits(self.domain)
        model = seeded_model(self.task, self.domain, splits.classes, self.plan, "source").to(device(self.plan))
        try:
            Taps(model, self.layers).close()
        except BadArgument as error:
            raise BadArgument(f"layers = {','.join(self.layers)!r}: {error}") from None
        counts = MetricRecord()
        counts["labelled"], counts["unlabelled"] = len(splits.labels), len(splits.unlabelled)
        counts["classes"] = splits.classes
        self.reply[self.domain] = counts

    def _source(self) -> None:
        splits = self.task.splits(self.domain)
        model = seeded_model(self.task, self.domain, splits.classes, self.plan, "source")
        learner = Learner(model, self.task, splits, self.plan, name=f"{self.domain}/source")
        self._load(learner)
        self._train(learner, self._span_at_home(learner), samples=len(splits.labels))
        self.reply[self.domain] = record_of(model)

    def _yardsticks(self) -> None:
        splits = self.task.splits(self.domain)
        for name in YARDSTICKS:
            data = splits.oracle() if name == "full" else splits
            model = seeded_model(self.task, self.domain, data.classes, self.plan, "target")
            learner = Learner(model, self.task, data, self.plan, name=f"{self.domain}/{name}")
            self._load(learner)
            self._train(learner, self._span(learner), samples=len(splits.everything()))
            if self.job.round == self.plan.rounds:
                self._report(name, self._measure(learner))

    def _reuse(self, weights: Weights) -> None:
        splits = self.task.splits(self.domain)
        peers = meet(weights, self.task, splits, self.plan)
        model = seeded_model(self.task, self.domain, splits.classes, self.plan, "target")
        name = f"{self.domain}/reuse"
        begins = not self._kept(name).last
        if begins:
            self._start(model, splits, peers)
        reuse = self._equation(model, splits, peers, warm=begins) if self.plan.gamma else None
        for peer in peers.models.values():
            peer.to(device(self.plan))
        teaching = self._teaching(splits, peers) if self.plan.committee else None
        learner = Learner(model, self.task, splits, self.plan, name=name, reuse=reuse, teaching=teaching)
        new = self._load(learner)
        if reuse is not None and new:
            self._say(f"from now on reuses {', '.join(new)} too")
            reuse.warm(model, self._sample(splits).to(device(self.plan)), sources=new)
        self._train(learner, self._span(learner), samples=len(splits.everything()))
        metrics = self._measure(learner)
        alpha = reuse.objective.alpha.values() if reuse is not None else self._alpha(peers)
        alphas = {f"alpha.{source}": value for source, value in alpha.items()}
        scores = {f"peer.{source}": score for source, score in peers.scores.items()}
        taught = {f"committee.{name}": value for name, value in learner.taught.items()}
        self._report("reuse", {**metrics, **alphas, **scores, **taught})
        self.reply[self.domain] = record_of(model)
        if self.job.round == self.plan.rounds:
            shown = self.task.showcase(model, self.domain)
            self.reply["showcase"] = ConfigRecord({"json": json.dumps(shown)})
            if self.plan.baselines:
                self._finetune(splits, meet(weights, self.task, splits, self.plan))

    def _equation(self, model: nn.Module, splits: Splits, peers: Peers, *, warm: bool) -> Reuse:
        """Make Eq. 1's second term, V warm where the training begins; later V is what the round before left."""
        example = self.task.prepare(splits.inputs[:2])
        with seeded(self.plan, f"{self.domain}/V"):
            objective = ReuseObjective.probe(
                model, peers.models, self.layers, example, gamma=self.plan.gamma, alpha=self.plan.alpha
            )
        reuse = Reuse(peers.models, objective, self._risks(peers), plan=self.plan)
        if warm:
            reuse.warm(model, self._sample(splits))
        return reuse

    def _sample(self, splits: Splits) -> Tensor:
        """Give clean inputs to set V on."""
        everything = splits.everything()
        return self.task.prepare(everything[:: max(1, len(everything) // WARM_SAMPLES)])

    def _alpha(self, peers: Peers) -> dict[str, float]:
        if self.plan.alpha == "uniform":
            return dict.fromkeys(peers.models, 1 / len(peers.models))
        return theorem_alpha(self._risks(peers))

    def _risks(self, peers: Peers) -> dict[str, float]:
        scores = {name: [*self.job.scores.get(name, ()), score] for name, score in peers.scores.items()}
        return risks_over(scores, self.plan)

    def _teaching(self, splits: Splits, peers: Peers) -> Teaching:
        return Teaching(self.task, splits, peers.models, alpha=self._alpha(peers), plan=self.plan)

    def _start(self, model: nn.Module, splits: Splits, peers: Peers) -> None:
        """Give the target the start that was asked for; it is as the task made it until here."""
        init, head = self.plan.init, self.task.head
        fitting = peers.fitting(model, head) if init in ("best-peer", "average") else []
        if init == "best-peer" and (best := peers.best(model, head)):
            start_from(model, peers.models[best], head)
            self._say(f"starts from {best}")
        elif fitting:
            start_from_average(model, [peers.models[name] for name in fitting], self.task, splits)
            self._say(f"starts from the average of {', '.join(fitting)}")
        else:
            why = "" if init in ("given", "scratch") else ": no source has its kind of model"
            self._say(f"starts from {'the weights given' if init == 'given' else 'new weights, or those of its file'}{why}")

    def _finetune(self, splits: Splits, peers: Peers) -> None:
        """Train the yardstick of transfer: the best source's last version, on the labels, all epochs at once."""
        model = seeded_model(self.task, self.domain, splits.classes, self.plan, "target")
        best = peers.best(model, self.task.head)
        if best is None:
            self._say("no source has the target's kind of model: there is none to fine-tune")
            return
        start_from(model, peers.models[best], self.task.head)
        learner = Learner(model, self.task, splits, self.plan, name=f"{self.domain}/finetune")
        total = self.plan.rounds * self.plan.local_epochs
        learner.train(Span(0, total, total), len(splits.everything()), self._progress(learner.name))
        self._report("finetune", self._measure(learner))
        self.reply["finetune"] = ConfigRecord({"source": best})

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that are reconstructed."""
        return self.plan.layers or tuple(self.task.layers)

    def _span(self, learner: Learner) -> Span:
        """Say which epochs the target does: one cycle over all rounds, so that what it missed it makes up for."""
        epochs = self.plan.local_epochs
        return Span(self._kept(learner.name).last * epochs, self.job.round * epochs, self.plan.rounds * epochs)

    def _span_at_home(self, learner: Learner) -> Span:
        """Say which epochs a source does. A version must be good when it is published: each round is a cycle of its own.

        Nobody waits for what a source has missed: when it is back it does this round's epochs, and before its first
        version those at home.
        """
        home, epochs = self.plan.home_epochs, self.plan.local_epochs
        if not self._kept(learner.name).last:
            return Span(0, home + epochs, home + epochs)
        last = home + self.job.round * epochs
        return Span(last - epochs, last, last)

    def _load(self, learner: Learner) -> tuple[str, ...]:
        """Go on from the newest state of a round before, if there is one; name the sources that are new since."""
        kept = self._kept(learner.name)
        if self.job.round > 1 and kept.last < self.job.round - 1:
            where = f"goes on from round {kept.last}" if kept.last else "begins now"
            self._say(f"{learner.name.rpartition('/')[2]}: missed round {self.job.round - 1}, {where}")
        return learner.load(kept.file(kept.last)) if kept.last else ()

    def _train(self, learner: Learner, span: Span, *, samples: int) -> None:
        """Train one round, and keep what a next one goes on from."""
        kept = self._kept(learner.name)
        learner.train(span, samples, self._progress(learner.name))
        if self.job.round < self.plan.rounds:  # nothing goes on from the last one
            learner.save(kept.file(self.job.round))
        kept.forget()

    def _kept(self, name: str) -> Kept:
        return Kept(self.folder / name, self.job.round)

    def _measure(self, learner: Learner) -> dict[str, float]:
        learner.model.cpu().eval()
        return {name: float(value) for name, value in self.task.evaluate(learner.model, self.domain).items()}

    def _report(self, name: str, metrics: Mapping[str, float]) -> None:
        self.reply[f"{self.domain}/{name}"] = MetricRecord(dict(metrics))
        shown = "  ".join(f"{key} {value:.2f}" for key, value in metrics.items())
        self._say(f"{name}: {shown}")

    def _progress(self, name: str) -> Callable[[int, int, float, float], None]:
        def line(epoch: int, total: int, loss: float, speed: float) -> None:
            print(f"{name:<24} epoch {epoch:3d}/{total}   loss {loss:7.4f}   {speed:6.0f} images/s", flush=True)

        return line

    def _say(self, text: str) -> None:
        print(f"{self.domain:<24} {text}", flush=True)


def homes(message: Message, context: Context) -> Message:
    """Answer which domains the node hosts (``node_config``: domains), and its place in a simulation."""
    config = context.node_config
    told = ConfigRecord()
    told["domains"], told["order"] = str(config.get("domains", "")), str(config.get("partition-id", 0))
    return Message(RecordDict({"homes": told}), reply_to=message)


def record_of(model: nn.Module) -> ArrayRecord:
    """Make the record of a model that is to be published."""
    return ArrayRecord({name: Array(array) for name, array in arrays_of(model).items()})
