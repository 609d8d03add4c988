"""A domain at work on one message: it describes its data, or trains as a source."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from torch import nn

from fedretina.strategies.peer_reuse.fitting import body_record, shapes_record
from fedretina.strategies.peer_reuse.jobs import Job
from fedretina.task import Splits, Task
from fedretina.train import (
    CHECKPOINT_FACTOR,
    Checkpoints,
    DomainBatches,
    EpochRange,
    Learner,
    OnEpoch,
    check_disk_space,
    check_finite,
    model_arrays,
    model_bytes,
    rehearse,
    seeded_model,
)

Progress = Literal["epoch", "round"]

LEARNERS = 4
"""Learners of a domain that is a target and a source: at home, alone, on all labels, and with its peers."""
JOINT_LEARNERS = 2
"""Learners more in joint training: in the body rounds, and in a source's turns with a target."""


class DomainWorker:
    """Does the work of one domain in one message.

    Parameters
    ----------
    task : Task
        The learning problem.
    folder : Path
        The run's folder on this node.
    job : Job
        The message's job.
    domain : str
        The domain.
    reply : RecordDict
        The reply of the node; the results go into it.
    progress : {"epoch", "round"}, default "epoch"
        Whether a line is printed for each epoch, or one line for all training of the domain in the round.
    share : bool, default True
        Whether weights that were trained on this domain as a target may go to other domains.
    """

    def __init__(
        self,
        task: Task,
        folder: Path,
        job: Job,
        domain: str,
        reply: RecordDict,
        *,
        progress: Progress = "epoch",
        share: bool = True,
    ) -> None:
        self.task, self.folder, self.job, self.training, self.share = task, folder, job, job.training, share
        self.domain, self.reply, self.progress = domain, reply, progress
        self.losses: dict[str, float] = {}

    def describe(self) -> None:
        """Open the data and make the model, so that an error in them ends the run before the training."""
        splits = self.task.splits(self.domain)
        model = self.new_model(splits.classes, "source")
        shapes = rehearse(self.task, splits, model, self.training, domain=self.domain, layers=self.layers)
        learners = LEARNERS + (JOINT_LEARNERS if self.job.reuse.is_joint else 0)
        check_disk_space(self.folder, learners * CHECKPOINT_FACTOR * model_bytes(model), "the models in training")
        self.reply[f"{self.domain}/shapes"] = shapes_record(shapes)
        self.reply[f"{self.domain}/model"] = body_record(model, self.task.head, share=self.share)
        counts = MetricRecord()
        counts["labelled"], counts["unlabelled"] = len(splits.labels), len(splits.unlabelled)
        counts["classes"] = splits.classes
        self.reply[self.domain] = counts

    def source(self) -> None:
        """Train at home on all labels, and publish the new version."""
        splits = self.task.splits(self.domain)
        model = self.new_model(splits.classes, "source")
        learner = self.supervised_learner(model, splits, "source")
        self.load(learner)
        self.train(learner, self._span_at_home(learner), samples=len(splits.labels))
        self.publish(model, self.domain)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose outputs are reconstructed."""
        return self.job.reuse.layers or tuple(self.task.layers)

    def new_model(self, classes: int, name: str) -> nn.Module:
        """Make the domain's model; its weights follow from the seed, the domain and the name."""
        return seeded_model(self.task, self.domain, classes, self.training, name)

    def supervised_learner(self, model: nn.Module, splits: Splits, name: str) -> Learner:
        """Make a learner on the labelled samples."""
        batches = DomainBatches(self.task, splits, self.training.batch_size)
        return Learner(model, self.task, self.training, name=f"{self.domain}/{name}", batches=batches)

    def load(self, learner: Learner) -> tuple[str, ...]:
        """Continue from the newest checkpoint, if there is one; return the sources that are new since then."""
        checkpoints = self.checkpoints(learner.name)
        if self.job.round > 1 and checkpoints.last < self.job.round - 1:
            start = f"goes on from round {checkpoints.last}" if checkpoints.last else "begins now"
            self.say(f"{learner.name.rpartition('/')[2]}: missed round {self.job.round - 1}, {start}")
        return learner.load(checkpoints.file(checkpoints.last)) if checkpoints.last else ()

    def train(self, learner: Learner, span: EpochRange, *, samples: int) -> None:
        """Train one round, and save the checkpoint for the next round."""
        checkpoints = self.checkpoints(learner.name)
        learner.train(span, samples, self.on_epoch(learner.name))
        if self.job.round < self.training.rounds or self.job.reuse.is_joint:  # else nothing follows
            learner.save(checkpoints.file(self.job.round))
        checkpoints.remove_old()

    def checkpoints(self, name: str) -> Checkpoints:
        """Return the checkpoints of a learner, in this round."""
        return Checkpoints(self.folder / name, self.job.round)

    def measure(self, learner: Learner) -> dict[str, float]:
        """Measure a learner's model on the domain's test samples."""
        learner.model.cpu().eval()
        return {name: float(value) for name, value in self.task.evaluate(learner.model, self.domain).items()}

    def report(self, name: str, metrics: Mapping[str, float]) -> None:
        """Put a learner's metrics into the reply, and print them."""
        self.reply[f"{self.domain}/{name}"] = MetricRecord(dict(metrics))
        shown = "  ".join(f"{key} {value:.2f}" for key, value in metrics.items())
        self.say(f"{name}: {shown}")

    def on_epoch(self, name: str) -> OnEpoch:
        """Return a function that prints one line for each epoch, or keeps the loss for the line of the round."""

        def line(epoch: int, total: int, loss: float, speed: float) -> None:
            self.losses[name.rpartition("/")[2]] = loss
            if self.progress == "epoch":
                print(f"{name:<24} epoch {epoch:3d}/{total}   loss {loss:7.4f}   {speed:6.0f} images/s", flush=True)

        return line

    def load_at(self, learner: Learner, epoch: int) -> tuple[int, tuple[str, ...]]:
        """Load the newest state of a learner at an epoch or before, if there is one.

        Learners that train between averages have a state per segment, named by its last epoch.

        Returns
        -------
        int
            The epoch of the state; 0 without one.
        tuple of str
            The sources that are new since then.
        """
        checkpoints = Checkpoints(self.folder / learner.name, epoch + 1)
        return checkpoints.last, learner.load(checkpoints.file(checkpoints.last)) if checkpoints.last else ()

    def save_at(self, learner: Learner, epoch: int, *, repeat_from: int) -> None:
        """Save a learner's state after an epoch. Training can be repeated from the state at `repeat_from`; older ones go."""
        learner.save(Checkpoints(self.folder / learner.name, epoch).file(epoch))
        Checkpoints(self.folder / learner.name, repeat_from + 1).remove_old()

    @property
    def round_start(self) -> int:
        """The first epoch of the round, from 0."""
        return (self.job.round - 1) * self.training.local_epochs

    def publish(self, model: nn.Module, stream: str) -> None:
        """Put the model into the reply, as the new version of a stream; `BadArgument` if it is not finite."""
        arrays = model_arrays(model)
        check_finite(arrays, self.domain)
        self.reply[stream] = ArrayRecord({name: Array(array) for name, array in arrays.items()})

    def say_round(self) -> None:
        """Print the line of the round, if nothing was printed for its epochs: the last loss of each learner."""
        if self.progress == "round" and self.losses:
            losses = ", ".join(f"{name} {loss:.4f}" for name, loss in self.losses.items())
            self.say(f"round {self.job.round}/{self.training.rounds}: last loss of {losses}")

    def say(self, text: str) -> None:
        """Print a line with the domain's name."""
        print(f"{self.domain:<24} {text}", flush=True)

    def _span_at_home(self, learner: Learner) -> EpochRange:
        """Choose the epochs of a source in this round.

        Each round is a cycle of its own, because the version that it publishes must be good. A source skips the epochs of
        missed rounds. Before its first version it also trains the epochs at home.
        """
        home, epochs = self.training.home_epochs, self.training.local_epochs
        if not self.checkpoints(learner.name).last:
            return EpochRange(0, home + epochs, home + epochs)
        last = home + self.job.round * epochs
        return EpochRange(last - epochs, last, last)
