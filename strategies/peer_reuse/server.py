"""The server's half of `PeerReuse`: rounds, relays, results."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedretina.errors import BadArgument, FedRetinaError
from fedretina.flower import DomGrid
from fedretina.strategies.peer_reuse.config import ReuseConfig, Topology
from fedretina.strategies.peer_reuse.facts import DomainFacts
from fedretina.strategies.peer_reuse.fitting import check_layers
from fedretina.strategies.peer_reuse.front_ends import deliver
from fedretina.strategies.peer_reuse.hosts import find_hosts
from fedretina.strategies.peer_reuse.jobs import Job, Setting, Work
from fedretina.strategies.peer_reuse.joint import JOINT_TYPE, JointTraining, Request
from fedretina.strategies.peer_reuse.replies import (
    failure_of,
    good_replies,
    lost_turn,
    metrics_of,
    models_of,
    read_results,
    refusals_of,
)
from fedretina.strategies.peer_reuse.results import RoundResult, RunResult, TargetResult
from fedretina.strategies.peer_reuse.rounds import Scores, round_result, scores_before
from fedretina.train import Training

_log = logging.getLogger("fedretina.strategies")
NODES_S = 120.0


class PeerReuse:
    """Multi-model reuse over Flower's Message API.

    Parameters
    ----------
    topology : Topology
        The domains.
    training : Training
        Settings of the training.
    reuse : ReuseConfig
        Settings of the reuse.
    run : str
        Name of the run. Nodes save their checkpoints under it, so a resumed run must have the same name.
    baselines : bool, default True
        Whether the targets' nodes train the baselines too.
    settings : mapping of str to bool, int, float or str, optional
        Settings for the nodes' app, which reads them with ``Job.of(message).settings``. A resumed run sends its own
        settings: they replace those that the nodes' app was started with.
    on_round : callable, optional
        Called after each round, with its number and the `RunResult` so far.
    on_home : callable, optional
        Called in the first round of joint training with the `RunResult`, when the sources' models from home are in it. A run
        that is resumed with it does not make them again.

    Examples
    --------
    In a ServerApp::

        result = PeerReuse(topology, training, reuse, run="demo").start(DomGrid(grid, uplink="stream"))
    """

    def __init__(
        self,
        topology: Topology,
        training: Training,
        reuse: ReuseConfig,
        *,
        run: str,
        baselines: bool = True,
        settings: Mapping[str, Setting] | None = None,
        on_round: Callable[[int, RunResult], None] | None = None,
        on_home: Callable[[RunResult], None] | None = None,
    ) -> None:
        self.topology, self.training = topology, training
        self.reuse = replace(reuse, body_rounds=min(reuse.body_rounds, training.home_epochs))
        if reuse.co_trains and reuse.alone_last >= training.epochs:
            _log.warning(
                "no co-training: alone-last = %d of %d epochs; give a smaller alone-last, or more rounds",
                reuse.alone_last,
                training.epochs,
            )
            self.reuse = replace(self.reuse, co_training="off")
        self.run, self.baselines, self.settings = run, baselines, dict(settings or {})
        self._on_round, self._on_home = on_round, on_home
        self._hosts: Mapping[str, int] = {}
        self._front_ends: Mapping[int, tuple[str, ...]] = {}
        self._joint: JointTraining | None = None

    def start(self, grid: Grid, *, result: RunResult | None = None, timeout: float | None = None) -> RunResult:
        """Run all rounds, or the rest of them.

        Parameters
        ----------
        grid : Grid
            Flower's, or a `DomGrid` around it with ``uplink="stream"``. With ``seal=True`` the server only relays models,
            and sees metrics.
        result : RunResult, optional
            The results of an interrupted run; its finished rounds are not repeated.
        timeout : float, optional
            Seconds to wait for the replies to a set of messages; by default there is no limit.

        Raises
        ------
        FedRetinaError
            If a domain has no node or no data, or a target fails. A run that ended so can be resumed.
        """
        result = result if result is not None else RunResult()
        for target in self.topology.targets:
            result.targets.setdefault(target, TargetResult())
        self._find_nodes(grid)
        self._describe(grid)
        for number in range(result.last_round + 1, self.training.rounds + 1):
            self._round(grid, number, result, timeout)
        return result

    def _find_nodes(self, grid: Grid) -> None:
        found = find_hosts(grid, self.topology.domains, seconds=NODES_S)
        self._hosts, self._front_ends = found.domains, found.front_ends
        if isinstance(grid, DomGrid):
            for node in dict.fromkeys(self._hosts.values()):
                grid.nodes.register(node, domains=self._on(node))
            for node, names in self._front_ends.items():
                grid.nodes.register(node, domains=names, role="front-end")
            if grid.seals:
                self._seal(grid)

    def _seal(self, grid: DomGrid) -> None:
        """Say who reads which model: a source's the targets that reuse it, a target's only the city's front ends."""
        for target in self.topology.targets:
            grid.seal_for(self.topology.stream_of(target), [])
        for source in self.topology.sources:
            grid.seal_for(source, [name for name in self.topology.targets if source in self.topology.sources_of(name)])

    def _on(self, node: int) -> list[str]:
        return [domain for domain, host in self._hosts.items() if host == node]

    def _ask(
        self,
        grid: Grid,
        number: int,
        request: Request,
        *,
        timeout: float | None = None,
        scores: Scores | None = None,
    ) -> list[Message]:
        """Send one message to each node that has work, and wait: at most one message per node is in flight."""
        messages, work = [], request.work
        for node in dict.fromkeys(self._hosts[domain] for domain in work):
            of_node = {domain: work[domain] for domain in work if self._hosts[domain] == node}
            job = self._job(number, of_node, request, scores or {})
            reusing = (domain for domain, kind in of_node.items() if kind not in ("body", "turn"))
            needed = {source for domain in reusing for source in self.topology.sources_of(domain)}
            needed |= {stream for domain in of_node for stream in request.bodies.get(domain, ())}
            records = {name: record for name, record in request.models.items() if name in needed}
            content = RecordDict({"job": job.record(), **records})
            kind = message_type(of_node.values())
            messages.append(Message(content, dst_node_id=node, message_type=kind, group_id=str(number)))
        return list(grid.send_and_receive(messages, timeout=timeout))

    def _job(self, number: int, work: Mapping[str, Work], request: Request, scores: Scores) -> Job:
        """Make the job of one node; scores and streams are those of the targets that train with peers."""
        targets = [domain for domain, kind in work.items() if kind in ("reuse", "co-train", "co-train+turn")]
        bodies = {domain: request.bodies[domain] for domain in work if domain in request.bodies}
        streams = {target: self.topology.stream_of(target) for target in targets}
        return Job(
            run=self.run,
            round=number,
            training=self.training,
            reuse=self.reuse,
            work=work,
            baselines=self.baselines,
            settings=self.settings,
            scores={target: scores[target] for target in targets if target in scores},
            streams={target: stream for target, stream in streams.items() if stream != target},
            spans={domain: request.spans[domain] for domain in work if domain in request.spans},
            bodies=bodies,
            samples={name: request.samples[name] for names in bodies.values() for name in names if name in request.samples},
        )

    def _describe(self, grid: Grid) -> None:
        """Let the nodes open their data, and log the sizes."""
        work: dict[str, Work] = dict.fromkeys(self.topology.domains, "describe")
        replies = good_replies(self._ask(grid, 0, Request(work=work)))
        if self.reuse.gamma:
            check_layers(self.topology, replies)
        counts = {domain: m for reply in replies for domain, m in reply.content.metric_records.items()}
        for domain in self.topology.domains:
            c = counts[domain]
            _log.info(
                "%-6s %-12s %6d labelled, %6d unlabelled samples, %4d classes",
                self.topology.role_of(domain), domain, c["labelled"], c["unlabelled"], c["classes"],
            )  # fmt: skip
        if self.reuse.is_joint:
            models = {name: record for reply in replies for name, record in reply.content.config_records.items()}
            facts = {name: DomainFacts.of(counts[name], models[f"{name}/model"]) for name in self.topology.domains}
            self._joint = JointTraining(self.topology, self.training, self.reuse, facts)
        if self.reuse.committee and self.training.epochs == 1:
            _log.warning(
                "rounds = 1, local-epochs = 1: the committee labels from the second epoch on, so in this run it labels "
                "nothing; give more epochs or rounds, or set committee = false"
            )

    def _round(self, grid: Grid, number: int, result: RunResult, timeout: float | None) -> None:
        """Let the sources train, then the targets with their models. A round counts when every target has finished."""
        work = self._work_before_reuse(result)
        if work:
            replies = self._ask(grid, number, Request(work=work), timeout=timeout)
            self._read(replies, work, result, must_succeed=self.topology.targets if self.baselines else ())
            if number == 1 and self._joint is not None and self._on_home is not None:
                self._on_home(result)
        peers = {name: result.models[name] for name in self.topology.sources if name in result.models}
        reuse: dict[str, Work] = dict.fromkeys(self.topology.targets, "reuse")
        before = {target: scores_before(self._peers_of(target, peers, number), result.targets[target]) for target in reuse}
        remembered = before if self.reuse.alpha == "bound" else None
        request = Request(work=reuse, models=peers)
        if self._joint is not None:
            ask = partial(self._ask_joint, grid, number, timeout=timeout, scores=remembered)
            request = self._joint.run_round(ask, number, result, peers)
        replies = self._ask(grid, number, request, timeout=timeout, scores=remembered)
        self._read(replies, reuse, result, must_succeed=self.topology.targets)
        entries = {target: self._entry(number, replies, target, before[target]) for target in reuse}
        for target, entry in entries.items():
            result.targets[target].rounds.append(entry)
        if self._on_round is not None:
            self._on_round(number, result)
        if self._front_ends:
            streams = [self.topology.stream_of(target) for target in self.topology.targets]
            models = {stream: result.models[stream] for stream in streams}
            deliver(grid, self._front_ends, models, number=number, timeout=timeout)

    def _ask_joint(
        self, grid: Grid, number: int, request: Request, *, timeout: float | None, scores: Scores | None
    ) -> list[Message]:
        """Send a request of the joint training; return the replies that did not fail. A failing target ends the run."""
        good = []
        for reply in self._ask(grid, number, request, timeout=timeout, scores=scores):
            if (reason := failure_of(reply)) is None:
                good.append(reply)
                for name in request.work:
                    if (lost := reply.content.config_records.get(lost_turn(name))) is not None:
                        _log.warning("%s lost a turn: %s", name, lost.get("text", "it gave no reason"))
                continue
            failed = [name for name in request.work if self._hosts[name] == reply.metadata.src_node_id]
            if targets := [name for name in failed if request.work[name] not in ("body", "turn")]:
                raise FedRetinaError(f"the node of the target {' and '.join(targets)} failed: {reason}")
            _log.warning("a node failed, %s lost a turn: %s", ", ".join(failed), reason)
        return good

    def _entry(self, number: int, replies: Iterable[Message], target: str, before: Mapping[str, list[float]]) -> RoundResult:
        """Make the result of a target's round; a source that the target refused from the first version on is not in it."""
        metrics, refused = self._metrics(replies, target), refusals_of(replies, target)
        for source, why in refused.items():
            _log.warning("round %d: %s refused the version of %s: %s", number, target, source, why)
        used = {source: past for source, past in before.items() if source not in refused or f"alpha.{source}" in metrics}
        return round_result(number, metrics, used, self.reuse.alpha)

    def _work_before_reuse(self, result: RunResult) -> dict[str, Work]:
        """Choose what domains train before the targets get the sources' models: sources their own, targets the baselines.

        If domains average their bodies, a source's model from home is made once.
        """
        made = result.models if self.reuse.is_joint else ()
        work: dict[str, Work] = {source: "source" for source in self.topology.sources if source not in made}
        for target in self.topology.targets if self.baselines else ():
            work[target] = "source+baselines" if target in work else "baselines"
        return work

    def _peers_of(self, target: str, models: Collection[str], number: int) -> list[str]:
        """List the sources of a target that have published a model."""
        peers = [source for source in self.topology.sources_of(target) if source in models]
        if not peers:
            raise BadArgument(
                f"round {number}: no source of {target!r} has published a model; mend the errors above, then resume the run"
            )
        return peers

    def _read(
        self, replies: Iterable[Message], work: Mapping[str, Work], result: RunResult, *, must_succeed: Collection[str]
    ) -> None:
        """Put the replies' models and results into the result.

        The domains in `must_succeed` end the run if their node failed. Other domains are reused in their last version.
        """
        for reply in replies:
            domains = [domain for domain in work if self._hosts[domain] == reply.metadata.src_node_id]
            if (reason := failure_of(reply)) is not None:
                if failed := [domain for domain in domains if domain in must_succeed]:
                    raise FedRetinaError(f"the node of the target {' and '.join(failed)} failed: {reason}")
                _log.warning("a node failed, its domains are reused in their last version: %s", reason)
                continue
            result.models.update(models_of(reply, [self._stream(domain, work[domain]) for domain in domains]))
            for target in domains:
                if target in self.topology.targets:
                    read_results(reply, target, result.targets[target])

    def _metrics(self, replies: Iterable[Message], target: str) -> dict[str, float]:
        own = [reply for reply in replies if reply.metadata.src_node_id == self._hosts[target]]
        return metrics_of(own, f"{target}/reuse")

    def _stream(self, domain: str, work: Work) -> str:
        return self.topology.stream_of(domain) if work == "reuse" else domain


def message_type(work: Collection[Work]) -> str:
    """Name the type of a message with such work: versions of streams travel in "train", bodies in "train.joint"."""
    if "describe" in work:
        return "query.describe"
    return JOINT_TYPE if set(work) & {"score", "body", "turn", "co-train", "co-train+turn"} else "train"
