"""A source at work on shared bodies: it trains in the body rounds, and has its turns with a target."""

from collections.abc import Mapping

from flwr.app import Array, ArrayRecord
from torch import Tensor, nn

from fedretina.errors import BadArgument
from fedretina.strategies.peer_reuse.joint import reply_name, target_of
from fedretina.strategies.peer_reuse.worker import DomainWorker
from fedretina.train import (
    Body,
    Checkpoints,
    EpochRange,
    Learner,
    SourceWeights,
    check_finite,
    tensor_arrays,
    tensor_of,
    train_from,
)

NEWEST = 10**9
"""A number above those of all checkpoints."""


class BodyWorker(DomainWorker):
    """A domain that may train from shared bodies, which are among the message's records."""

    def body(self, records: SourceWeights) -> None:
        """Train one body round from the joint body."""
        (stream,) = self.job.bodies[self.domain]
        self._train_body(stream, self._learner_of("body"), records, repeat_from=self.span().first)

    def turn(self, records: SourceWeights) -> None:
        """Train a turn for each other target whose body is in the message."""
        for stream in self.job.bodies[self.domain]:
            if stream not in self.own_bodies:
                learner = self._learner_of(f"turns/{target_of(stream)}")
                self._train_body(stream, learner, records, repeat_from=self.round_start)

    @property
    def own_bodies(self) -> list[str]:
        """The record with the body that the domain trains as a target; none if it gets no such body in this message."""
        return [stream for stream in self.job.bodies.get(self.domain, ()) if target_of(stream) == self.domain]

    @property
    def joint_bodies(self) -> list[str]:
        """The record with the joint body of the sources; none if the domain gets none in this message."""
        return [stream for stream in self.job.bodies.get(self.domain, ()) if not target_of(stream)]

    def span(self) -> EpochRange:
        """Give the epochs of the job."""
        if not self.has_span:
            raise BadArgument("the server's job names no epochs: install the same release of fedretina everywhere")
        return EpochRange(*self.job.spans[self.domain])

    @property
    def has_span(self) -> bool:
        """Whether the server names the epochs, as it does for bodies; else they follow from the round."""
        return self.domain in self.job.spans

    def reply_body(self, stream: str, body: Body) -> None:
        """Put a body into the reply; `BadArgument` if it is not finite."""
        arrays = tensor_arrays(body)
        check_finite(arrays, self.domain)
        record = ArrayRecord({name: Array(array) for name, array in arrays.items()})
        self.reply[reply_name(stream, self.domain)] = record

    def _train_body(self, stream: str, learner: Learner, records: SourceWeights, *, repeat_from: int) -> None:
        span, on_epoch = self.span(), self.on_epoch(learner.name)
        samples = self.job.samples.get(stream) or len(self.task.splits(self.domain).labels)
        body = train_from(learner, body_in(records, stream), span, samples=samples, on_epoch=on_epoch)
        self.save_at(learner, span.last, repeat_from=repeat_from)
        self.reply_body(stream, body)

    def _learner_of(self, name: str) -> Learner:
        """Continue the learner of that name; at first with the source's model after the body rounds, or from home."""
        splits = self.task.splits(self.domain)
        model = self.new_model(splits.classes, "source")
        learner = self.supervised_learner(model, splits, name)
        if not self.load_at(learner, self.span().first)[0]:
            self._load_model(model, ("source",) if name == "body" else ("body", "source"))
        return learner

    def _load_model(self, model: nn.Module, names: tuple[str, ...]) -> None:
        """Load the newest model of the first learner that has one; its optimizer is not continued."""
        for name in names:
            learner = self.supervised_learner(model, self.task.splits(self.domain), name)
            checkpoints = Checkpoints(self.folder / learner.name, NEWEST)
            if checkpoints.last:
                learner.load(checkpoints.file(checkpoints.last))
                return
        raise BadArgument(
            f"{self.domain}: the model from home is not in {self.folder}; restore that folder, or start a new run"
        )


def body_in(records: SourceWeights, stream: str) -> Mapping[str, Tensor]:
    """Read a body from a message's records; `BadArgument` if it is not there."""
    if stream not in records:
        raise BadArgument(f"the message has no body {stream!r}: install the same release of fedretina everywhere")
    return {name: tensor_of(array) for name, array in records[stream].items()}
