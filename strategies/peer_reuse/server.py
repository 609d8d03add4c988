"""The server's half of `PeerReuse`: rounds, relays, results."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid

from fedretina.errors import BadArgument, FedRetinaError
from fedretina.flower import DomGrid
from fedretina.strategies.peer_reuse.jobs import Job, Knob, Work, deal
from fedretina.strategies.peer_reuse.peers import risks_over
from fedretina.strategies.peer_reuse.plan import Plan

_log = logging.getLogger("flwr")
NODES_S = 120.0


@dataclass(frozen=True)
class RoundResult:
    """What one round brought.

    Attributes
    ----------
    round : int
        Its number, from 1.
    metrics : dict of str to float
        The target's, by name.
    alpha : dict of str to float
        By source.
    committee : dict of str to float
        What the committee labelled, in percent.
    peers : dict of str to dict
        By source: "score", the task's metric in percent on the target's labelled samples, and "risk", its R_m.
    """

    round: int
    metrics: dict[str, float]
    alpha: dict[str, float]
    committee: dict[str, float] = field(default_factory=dict)
    peers: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def bound(self) -> float | None:
        """Theorem 1's bound without its constants, sum_m alpha_m^2 R_m; None in an older run, which did not note R_m.

        Examples
        --------
        >>> RoundResult(1, {}, {"duke": 0.5, "cuhk03": 0.5}, peers={"duke": {"risk": 0.25}, "cuhk03": {"risk": 0.75}}).bound
        0.25
        """
        if not self.peers:
            return None
        return math.fsum(weight**2 * self.peers[source]["risk"] for source, weight in self.alpha.items())


@dataclass
class RunResult:
    """What a run brought.

    Attributes
    ----------
    rounds : list of RoundResult
        One a round.
    yardsticks : dict of str to dict
        Metrics of "alone", "full" and "finetune", where they were trained.
    finetuned : str
        The source that "finetune" started from.
    models : dict of str to ArrayRecord
        The last version of each domain.
    showcase : list of dict
        The task's examples of what the last model does.
    """

    rounds: list[RoundResult] = field(default_factory=list)
    yardsticks: dict[str, dict[str, float]] = field(default_factory=dict)
    finetuned: str = ""
    models: dict[str, ArrayRecord] = field(default_factory=dict)
    showcase: list[dict[str, Any]] = field(default_factory=list)


class PeerReuse:
    """Multi-model reuse over Flower's Message API.

    Parameters
    ----------
    plan : Plan
        Domains, rounds and training.
    run : str
        Name of the run: nodes keep their models in training under it, so a resumed run must have the same.
    knobs : mapping of str to bool, int, float or str, optional
        What the nodes' app must know instead of the configuration that it was started with (a resumed run's own); it
        finds them by ``Job.of(message).knobs``.
    on_round : callable, optional
        Gets each `RoundResult` and the `RunResult` so far.

    Examples
    --------
    In a ServerApp::

        result = PeerReuse(plan, run="demo").start(DomGrid(grid, uplink="stream"))
    """

    def __init__(
        self,
        plan: Plan,
        *,
        run: str,
        knobs: Mapping[str, Knob] | None = None,
        on_round: Callable[[RoundResult, RunResult], None] | None = None,
    ) -> None:
        self.plan, self.run, self.knobs = plan, run, dict(knobs or {})
        self._on_round = on_round
        self._homes: dict[str, int] = {}

    def start(self, grid: Grid, *, result: RunResult | None = None, timeout: float | None = None) -> RunResult:
        """Run all rounds, or the rest of them.

        Parameters
        ----------
        grid : Grid
            Flower's, or a `DomGrid` around it with ``uplink="stream"``.
        result : RunResult, optional
            What an interrupted run had brought: its rounds are not done again.
        timeout : float, optional
            Seconds to wait for a round's replies; None (default) waits for ever.

        Raises
        ------
        FedRetinaError
            If a domain has no node or no data, or the target could not be trained.
        """
        result = result if result is not None else RunResult()
        self._find_nodes(grid)
        self._describe(grid)
        for number in range(len(result.rounds) + 1, self.plan.rounds + 1):
            self._round(grid, number, result, timeout)
        return result

    def _find_nodes(self, grid: Grid) -> None:
        end = time.monotonic() + NODES_S
        while not (nodes := sorted(grid.get_node_ids())) and time.monotonic() < end:
            time.sleep(0.2)
        if not nodes:
            raise BadArgument("no node is connected: start some, or give the simulation supernodes")
        asked = [Message(RecordDict(), dst_node_id=node, message_type="query.homes") for node in nodes]
        answers = _answers(grid.send_and_receive(asked, timeout=NODES_S))
        told = {reply.metadata.src_node_id: dict(reply.content.config_records["homes"]) for reply in answers}
        order = sorted(told, key=lambda node: (int(str(told[node]["order"])), node))
        homes = {node: [name for name in str(told[node]["domains"]).split(",") if name] for node in order}
        self._homes = deal(self.plan.domains, homes)
        if isinstance(grid, DomGrid):
            for node in order:
                grid.nodes.register(node, domains=self._on(node))

    def _on(self, node: int) -> list[str]:
        return [domain for domain, home in self._homes.items() if home == node]

    def _ask(
        self,
        grid: Grid,
        number: int,
        work: Mapping[str, Work],
        models: Mapping[str, ArrayRecord] | None = None,
        *,
        timeout: float | None = None,
        scores: Mapping[str, Sequence[float]] | None = None,
    ) -> list[Message]:
        """Send one message to each node that has work, and wait: never are two on the way to one node."""
        messages = []
        for node in dict.fromkeys(self._homes[domain] for domain in work):
            mine = {domain: work[domain] for domain in work if self._homes[domain] == node}
            job = Job(self.run, number, self.plan, mine, self.knobs, scores or {})
            content = RecordDict({"job": job.record(), **(models or {})})
            kind = "query.describe" if "describe" in mine.values() else "train"
            messages.append(Message(content, dst_node_id=node, message_type=kind, group_id=str(number)))
        return list(grid.send_and_receive(messages, timeout=timeout))

    def _describe(self, grid: Grid) -> None:
        replies = _answers(self._ask(grid, 0, dict.fromkeys(self.plan.domains, "describe")))
        counts = {domain: m for reply in replies for domain, m in reply.content.metric_records.items()}
        for domain in self.plan.domains:
            c = counts[domain]
            role = "target" if domain == self.plan.target else "source"
            _log.info(
                "%-6s %-12s %6d labelled, %6d unlabelled samples, %4d classes",
                role, domain, c["labelled"], c["unlabelled"], c["classes"],
            )  # fmt: skip
        if self.plan.committee and self.plan.rounds * self.plan.local_epochs == 1:
            _log.warning(
                "rounds = 1, local-epochs = 1: the committee labels from the second epoch on, so in this run it labels "
                "nothing; give more epochs or rounds, or say committee = false"
            )

    def _round(self, grid: Grid, number: int, result: RunResult, timeout: float | None) -> None:
        work: dict[str, Work] = dict.fromkeys(self.plan.sources, "source")
        if self.plan.baselines:
            work[self.plan.target] = "yardsticks"
        self._take(self._ask(grid, number, work, timeout=timeout), result, must=self.plan.baselines)
        sources = {name: result.models[name] for name in self.plan.sources if name in result.models}
        if not sources:
            raise BadArgument(f"round {number}: no source has published a model; see the errors above")
        before = {name: [entry.peers[name]["score"] for entry in result.rounds if name in entry.peers] for name in sources}
        told = before if self.plan.alpha == "bound" else None
        replies = self._ask(grid, number, {self.plan.target: "reuse"}, sources, timeout=timeout, scores=told)
        self._take(replies, result, must=True)
        entry = self._entry(number, dict(_metrics(replies, f"{self.plan.target}/reuse")), before)
        result.rounds.append(entry)
        if self._on_round is not None:
            self._on_round(entry, result)

    def _entry(self, number: int, metrics: dict[str, float], before: Mapping[str, Sequence[float]]) -> RoundResult:
        """Sort what the target told of a round; `before` has each source's scores of the rounds before."""
        alpha = {name: metrics.pop(f"alpha.{name}") for name in before}
        scores = {name: metrics.pop(f"peer.{name}") for name in before}
        risks = risks_over({name: [*before[name], score] for name, score in scores.items()}, self.plan)
        peers = {name: {"score": scores[name], "risk": risks[name]} for name in before}
        taught = [name for name in metrics if name.startswith("committee.")]
        committee = {name.removeprefix("committee."): metrics.pop(name) for name in taught}
        return RoundResult(number, metrics, alpha, committee, peers)

    def _take(self, replies: Iterable[Message], result: RunResult, *, must: bool) -> None:
        """Keep what the replies bring. A source that fails is reused in its last version; the target must not fail."""
        for reply in replies:
            if (reason := _failure(reply)) is not None:
                if must and self._homes[self.plan.target] == reply.metadata.src_node_id:
                    raise FedRetinaError(f"the target's node failed: {reason}")
                _log.warning("a node failed, its domains are reused in their last version: %s", reason)
                continue
            result.models.update(reply.content.array_records.items())
            for name, record in reply.content.metric_records.items():
                domain, _, learner = name.partition("/")
                if domain == self.plan.target and learner != "reuse":
                    result.yardsticks[learner] = _numbers(record)
            configs = reply.content.config_records
            if "showcase" in configs:
                result.showcase = json.loads(str(configs["showcase"]["json"]))
            if "finetune" in configs:
                result.finetuned = str(configs["finetune"]["source"])


def _failure(reply: Message) -> str | None:
    if reply.has_error():
        return reply.error.reason or f"error {reply.error.code}"
    record = reply.content.config_records.get("error")
    return str(record["text"]) if record is not None else None


def _answers(replies: Iterable[Message]) -> list[Message]:
    """Insist on good replies."""
    good = list(replies)
    for reply in good:
        if (reason := _failure(reply)) is not None:
            raise FedRetinaError(reason)
    return good


def _numbers(record: MetricRecord) -> dict[str, float]:
    return {key: float(value) for key, value in record.items() if isinstance(value, int | float)}


def _metrics(replies: Iterable[Message], name: str) -> Mapping[str, float]:
    for reply in replies:
        if reply.has_content() and name in reply.content.metric_records:
            return _numbers(reply.content.metric_records[name])
    raise FedRetinaError(f"no reply brought the metrics {name!r}")
