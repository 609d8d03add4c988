"""The server's half of joint training: body rounds among the sources, and co-training of targets with sources.

A body is a model without its head and its BatchNorm statistics. The server sends a body, the domains train on from it, and
the server averages what comes back. Each average is the next version of a stream of the server. A domain's reply is the
difference to the version that it received.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from flwr.app import Array, ArrayRecord, Message

from fedretina.errors import FedRetinaError
from fedretina.flower import RecordRule
from fedretina.strategies.peer_reuse.config import ReuseConfig, Topology
from fedretina.strategies.peer_reuse.facts import DomainFacts, TargetRisks
from fedretina.strategies.peer_reuse.jobs import Work
from fedretina.strategies.peer_reuse.replies import metrics_of
from fedretina.strategies.peer_reuse.results import RunResult
from fedretina.train import (
    Body,
    Segment,
    Training,
    TurnSources,
    average_bodies,
    body_span,
    choose_sources,
    make_schedule,
    mix_bodies,
    segment_spans,
    tensor_arrays,
    tensor_of,
)

_log = logging.getLogger("fedretina.strategies")
PREFIX = "joint/"
JOINT_RULES = (RecordRule(lossy=True, record=f"{PREFIX}*"),)
"""The rules for a `DomGrid` under joint training: bodies travel as differences both ways."""
JOINT_TYPE = "train.joint"
"""The type of the messages in which bodies travel, but for those that end a round."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One exchange of messages.

    Attributes
    ----------
    work : mapping of str to str
        By domain, see `fedretina.strategies.peer_reuse.jobs.Work`.
    bodies : mapping of str to sequence of str
        By domain: the records with the bodies that it gets.
    models : mapping of str to ArrayRecord
        The bodies by record.
    spans : mapping of str to tuple of int
        By domain: first epoch, end, and total.
    samples : mapping of str to int
        By record: samples from which the steps of a turn follow.
    """

    work: Mapping[str, Work]
    bodies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    models: Mapping[str, ArrayRecord] = field(default_factory=dict)
    spans: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    samples: Mapping[str, int] = field(default_factory=dict)


Ask = Callable[[Request], list[Message]]
"""Sends a request to the nodes, and returns the replies that did not fail; `FedRetinaError` if a target failed."""


class JointTraining:
    """Body rounds and co-training of one run.

    Parameters
    ----------
    topology, training, reuse
        As for `PeerReuse`.
    facts : mapping of str to DomainFacts
        By domain.
    """

    def __init__(self, topology: Topology, training: Training, reuse: ReuseConfig, facts: Mapping[str, DomainFacts]) -> None:
        self.topology, self.training, self.reuse, self.facts = topology, training, reuse, facts
        self.sizes = {domain: fact.labelled for domain, fact in facts.items()}
        self._schedule: list[Segment] | None = None

    def joint_body(self, target: str) -> str:
        """Name the record of the joint body that a target starts from."""
        return f"{PREFIX}{self.facts[target].kind}"

    def shared_body(self, target: str) -> str:
        """Name the record of the body that a target shares with the sources."""
        return f"{self.joint_body(target)}/{target}"

    def run_round(self, ask: Ask, number: int, result: RunResult, peers: Mapping[str, ArrayRecord]) -> Request:
        """Run the body rounds before the first round, and the segments of a round.

        Parameters
        ----------
        ask : callable
            Sends a request and returns the replies.
        number : int
            The round, from 1.
        result : RunResult
            The results so far; its bodies get new versions.
        peers : mapping of str to ArrayRecord
            The sources' models from home.

        Returns
        -------
        Request
            The request that ends the round: targets train what is left of it, and publish.
        """
        if number == 1 and self.reuse.body_rounds:
            self._run_body_rounds(ask, result)
        if self.reuse.co_trains and self._schedule is None:
            self._start_co_training(result, self._ask_scores(ask, result, peers))
        segments = self._segments(number)
        for segment in segments:
            self._run_segment(ask, result, segment, peers)
        return self._last_request(number, result, segments, peers)

    def _last_request(
        self, number: int, result: RunResult, segments: Sequence[Segment], peers: Mapping[str, ArrayRecord]
    ) -> Request:
        """Make the request that ends a round. Only targets that co-train have states between rounds, and so a span.

        A target's own state is that before the last average. So the average goes along, also into the round after it.
        """
        epochs, co_training = self.training.local_epochs, self._co_training_targets(result)
        start = (number - 1) * epochs
        done = segments[-1].last if segments else start
        averaged = bool(segments) or any(segment.last == start for segment in self._schedule or ())
        bodies = {target: [self.shared_body(target)] for target in co_training if averaged}
        for target in self.topology.targets if number == 1 else ():
            if target not in co_training and self.joint_body(target) in result.models:
                bodies[target] = [self.joint_body(target)]
        return Request(
            work=dict.fromkeys(self.topology.targets, "reuse"),
            bodies=bodies,
            models={**peers, **{name: result.models[name] for names in bodies.values() for name in names}},
            spans=dict.fromkeys(co_training, (done, number * epochs, self.training.epochs)),
        )

    def _ask_scores(self, ask: Ask, result: RunResult, peers: Mapping[str, ArrayRecord]) -> dict[str, TargetRisks]:
        """Let the targets measure the sources' models from home, and themselves; they get the joint body too.

        A resumed run asks again, and gets the same answers: these models do not change. A source that came later is not
        among them, since the schedule was made without it.
        """
        targets = self._sharing_targets()
        first = [target.rounds[0].peers for target in result.targets.values() if target.rounds]
        peers = {name: model for name, model in peers.items() if not first or any(name in known for known in first)}
        bodies = {target: [self.joint_body(target)] for target in targets if self.joint_body(target) in result.models}
        models = {**peers, **{name: result.models[name] for names in bodies.values() for name in names}}
        replies = ask(Request(work=dict.fromkeys(targets, "score"), bodies=bodies, models=models)) if targets else []
        return {target: TargetRisks.of(metrics_of(replies, f"{target}/scores")) for target in targets}

    def _co_training_targets(self, result: RunResult) -> list[str]:
        return [target for target in self._sharing_targets() if self.shared_body(target) in result.models]

    def _run_body_rounds(self, ask: Ask, result: RunResult) -> None:
        """Let the sources average their bodies, for each kind of model that a target has."""
        for stream in dict.fromkeys(map(self.joint_body, self.topology.targets)):
            sources = [
                source for source in self.topology.sources if self.joint_body(source) == stream and source in result.models
            ]
            if len(sources) > 1:
                self._average_sources(ask, result, stream, sources)

    def _average_sources(self, ask: Ask, result: RunResult, stream: str, sources: Sequence[str]) -> None:
        rounds, epochs = self.reuse.body_rounds, self.training.home_epochs
        largest = max(sources, key=lambda source: self.sizes[source])
        result.models[stream] = self._cut_body(result, largest)
        for number in range(1, rounds + 1):
            _log.info("body round %d of %d: %s", number, rounds, ", ".join(sources))
            span = body_span(number, rounds, epochs)
            request = Request(
                work=dict.fromkeys(sources, "body"),
                bodies=dict.fromkeys(sources, (stream,)),
                models={stream: result.models[stream]},
                spans=dict.fromkeys(sources, (span.first, span.last, span.total)),
            )
            if bodies := bodies_of(ask(request), stream, sources, sent=result.models[stream]):
                result.models[stream] = to_record(average_bodies(bodies, self.sizes))

    def _start_co_training(self, result: RunResult, risks: Mapping[str, TargetRisks]) -> None:
        """Make the schedule, print it, and let the shared bodies begin: with the joint body, or with the best source's.

        A shared body of a resumed run stays.
        """
        chosen = {target: self._choose_sources(target, risks[target]) for target in self._sharing_targets()}
        for target, sources in chosen.items():
            _log.info("co-training of %s: %s", target, sources)
        weights = {target: sources.weights for target, sources in chosen.items()}
        reuse = self.reuse
        spans = segment_spans(self.training, average_every=reuse.average_every, alone_last=reuse.alone_last)
        self._schedule = make_schedule(spans, weights, in_turn=reuse.co_training == "turns")
        for segment in self._schedule:
            _log.info("co-training, %s", segment)
        for target, names in weights.items():
            stream, joint = self.shared_body(target), self.joint_body(target)
            if names and stream not in result.models:
                best = min(names, key=lambda source: risks[target].sources[source])
                result.models[stream] = result.models.get(joint) or self._cut_body(result, best)

    def _segments(self, number: int) -> list[Segment]:
        """List the segments of a round."""
        epochs = self.training.local_epochs
        return [segment for segment in self._schedule or () if segment.first // epochs == number - 1]

    def _run_segment(self, ask: Ask, result: RunResult, segment: Segment, peers: Mapping[str, ArrayRecord]) -> None:
        """Let targets and sources train the epochs of a segment, and average their bodies.

        A source that fails has lost its turn.
        """
        streams = {target: self.shared_body(target) for target in segment.turns}
        streams = {target: stream for target, stream in streams.items() if stream in result.models}
        bodies: dict[str, list[str]] = {}
        for target, stream in streams.items():
            for domain in (target, *segment.turns[target]):
                bodies.setdefault(domain, []).append(stream)
        turns = {source for target in streams for source in segment.turns[target]}
        request = Request(
            work={domain: _work(domain in streams, domain in turns) for domain in bodies},
            bodies=bodies,
            models={**peers, **{stream: result.models[stream] for stream in streams.values()}},
            spans=dict.fromkeys(bodies, (segment.first, segment.last, self.training.epochs)),
            samples={stream: self._samples(target) for target, stream in streams.items()},
        )
        replies = ask(request)
        for target, stream in streams.items():
            domains = (target, *segment.turns[target])
            trained = bodies_of(replies, stream, domains, sent=result.models[stream])
            if target not in trained:
                raise FedRetinaError(
                    f"the node of the target {target} sent no body; see the errors above, then resume the run"
                )
            own = trained.pop(target)
            result.models[stream] = to_record(mix_bodies(own, trained, self.sizes, share_target=self.reuse.share_target))

    def _sharing_targets(self) -> list[str]:
        return [target for target in self.topology.targets if self.facts[target].share]

    def _choose_sources(self, target: str, risks: TargetRisks) -> TurnSources:
        kind = self.facts[target].kind
        sizes = {source: self.sizes[source] for source in risks.sources if self.facts[source].kind == kind}
        return choose_sources(sizes, risks.sources, risks.own, self.reuse.turn_rules)

    def _samples(self, target: str) -> int:
        return self.facts[target].labelled + self.facts[target].unlabelled

    def _cut_body(self, result: RunResult, source: str) -> ArrayRecord:
        """Take the body out of a source's model from home."""
        record = result.models[source]
        return ArrayRecord({name: record[name] for name in self.facts[source].tensors})


def to_record(body: Body) -> ArrayRecord:
    """Write a body as a record of a message."""
    return ArrayRecord({name: Array(array) for name, array in tensor_arrays(body).items()})


def bodies_of(replies: Iterable[Message], stream: str, domains: Sequence[str], *, sent: ArrayRecord) -> dict[str, Body]:
    """Read the bodies that domains sent back, by domain, in the order of `domains`.

    A body that is not finite, or has other tensors than the one that was sent, is left out with a warning: one bad domain
    must not spoil the average.
    """
    records = {name: record for reply in replies for name, record in reply.content.array_records.items()}
    shapes = {name: tuple(array.shape) for name, array in sent.items()}
    found: dict[str, Body] = {}
    for domain in domains:
        if (record := records.get(reply_name(stream, domain))) is not None:
            body = {name: tensor_of(array.numpy()) for name, array in record.items()}
            if {name: tuple(value.shape) for name, value in body.items()} == shapes and _is_finite(body):
                found[domain] = body
            else:
                _log.warning("the body of %s is left out: it is not finite, or has other tensors than %s", domain, stream)
    return found


def _is_finite(body: Body) -> bool:
    return all(bool(value.isfinite().all()) for value in body.values())


def target_of(stream: str) -> str:
    """Name the target whose shared body is in a stream; "" for the joint body of the sources.

    Examples
    --------
    >>> target_of("joint/1f2e/duke"), target_of("joint/1f2e")
    ('duke', '')
    """
    return stream.removeprefix(PREFIX).partition("/")[2]


def reply_name(stream: str, domain: str) -> str:
    """Name the record of a reply: one node may send several bodies that build on the same version.

    Examples
    --------
    >>> reply_name("joint/1f2e/duke", "msmt17")
    'joint/1f2e/duke@msmt17'
    """
    return f"{stream}@{domain}"


def _work(is_target: bool, has_turn: bool) -> Work:
    if is_target:
        return "co-train+turn" if has_turn else "co-train"
    return "turn"
