"""The server's half of `PeerReuse`: rounds, relays, results."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from flwr.app import ArrayRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedretina.errors import BadArgument, FedRetinaError
from fedretina.flower import DomGrid
from fedretina.strategies.peer_reuse.config import ReuseConfig, Topology
from fedretina.strategies.peer_reuse.fitting import check_layers
from fedretina.strategies.peer_reuse.hosts import assign_hosts
from fedretina.strategies.peer_reuse.jobs import Job, Setting, Work
from fedretina.strategies.peer_reuse.replies import failure_of, good_replies, metrics_of, numbers_of
from fedretina.strategies.peer_reuse.results import RoundResult, RunResult
from fedretina.train import Training, source_risks

_log = logging.getLogger("flwr")
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
        Name of the run: nodes save their models in training under it, so a resumed run must have the same.
    baselines : bool, default True
        Whether to train the baselines too.
    settings : mapping of str to bool, int, float or str, optional
        Values that replace those of the configuration that the nodes' app was started with (for a resumed run); the app
        reads them with ``Job.of(message).settings``.
    on_round : callable, optional
        Gets each `RoundResult` and the `RunResult` so far.

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
        on_round: Callable[[RoundResult, RunResult], None] | None = None,
    ) -> None:
        self.topology, self.training, self.reuse = topology, training, reuse
        self.run, self.baselines, self.settings = run, baselines, dict(settings or {})
        self._on_round = on_round
        self._hosts: dict[str, int] = {}

    def start(self, grid: Grid, *, result: RunResult | None = None, timeout: float | None = None) -> RunResult:
        """Run all rounds, or the rest of them.

        Parameters
        ----------
        grid : Grid
            Flower's, or a `DomGrid` around it with ``uplink="stream"``.
        result : RunResult, optional
            The results of an interrupted run: its rounds are not done again.
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
        for number in range(len(result.rounds) + 1, self.training.rounds + 1):
            self._round(grid, number, result, timeout)
        return result

    def _find_nodes(self, grid: Grid) -> None:
        end = time.monotonic() + NODES_S
        while not (nodes := sorted(grid.get_node_ids())) and time.monotonic() < end:
            time.sleep(0.2)
        if not nodes:
            raise BadArgument("no node is connected: start some, or give the simulation supernodes")
        asked = [Message(RecordDict(), dst_node_id=node, message_type="query.domains") for node in nodes]
        answers = good_replies(grid.send_and_receive(asked, timeout=NODES_S))
        found = {reply.metadata.src_node_id: dict(reply.content.config_records["hosts"]) for reply in answers}
        order = sorted(found, key=lambda node: (int(str(found[node]["order"])), node))
        hosted = {node: [name for name in str(found[node]["domains"]).split(",") if name] for node in order}
        self._hosts = assign_hosts(self.topology.domains, hosted)
        if isinstance(grid, DomGrid):
            for node in order:
                grid.nodes.register(node, domains=self._on(node))

    def _on(self, node: int) -> list[str]:
        return [domain for domain, host in self._hosts.items() if host == node]

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
        """Send one message to each node that has work, and wait: at most one message per node is in flight."""
        messages = []
        for node in dict.fromkeys(self._hosts[domain] for domain in work):
            of_node = {domain: work[domain] for domain in work if self._hosts[domain] == node}
            job = self._job(number, of_node, scores or {})
            content = RecordDict({"job": job.record(), **(models or {})})
            kind = "query.describe" if "describe" in of_node.values() else "train"
            messages.append(Message(content, dst_node_id=node, message_type=kind, group_id=str(number)))
        return list(grid.send_and_receive(messages, timeout=timeout))

    def _job(self, number: int, work: Mapping[str, Work], scores: Mapping[str, Sequence[float]]) -> Job:
        return Job(
            run=self.run,
            round=number,
            training=self.training,
            reuse=self.reuse,
            work=work,
            baselines=self.baselines,
            settings=self.settings,
            scores=scores,
        )

    def _describe(self, grid: Grid) -> None:
        replies = good_replies(self._ask(grid, 0, dict.fromkeys(self.topology.domains, "describe")))
        if self.reuse.gamma:
            check_layers(self.topology, replies)
        counts = {domain: m for reply in replies for domain, m in reply.content.metric_records.items()}
        for domain in self.topology.domains:
            c = counts[domain]
            role = "target" if domain == self.topology.target else "source"
            _log.info(
                "%-6s %-12s %6d labelled, %6d unlabelled samples, %4d classes",
                role, domain, c["labelled"], c["unlabelled"], c["classes"],
            )  # fmt: skip
        if self.reuse.committee and self.training.epochs == 1:
            _log.warning(
                "rounds = 1, local-epochs = 1: the committee labels from the second epoch on, so in this run it labels "
                "nothing; give more epochs or rounds, or set committee = false"
            )

    def _round(self, grid: Grid, number: int, result: RunResult, timeout: float | None) -> None:
        work: dict[str, Work] = dict.fromkeys(self.topology.sources, "source")
        if self.baselines:
            work[self.topology.target] = "baselines"
        self._take(self._ask(grid, number, work, timeout=timeout), result, must=self.baselines)
        sources = {name: result.models[name] for name in self.topology.sources if name in result.models}
        if not sources:
            raise BadArgument(f"round {number}: no source has published a model; see the errors above")
        before = {name: [entry.peers[name]["score"] for entry in result.rounds if name in entry.peers] for name in sources}
        scores = before if self.reuse.alpha == "bound" else None
        replies = self._ask(grid, number, {self.topology.target: "reuse"}, sources, timeout=timeout, scores=scores)
        self._take(replies, result, must=True)
        entry = self._entry(number, metrics_of(replies, f"{self.topology.target}/reuse"), before)
        result.rounds.append(entry)
        if self._on_round is not None:
            self._on_round(entry, result)

    def _entry(self, number: int, metrics: dict[str, float], before: Mapping[str, Sequence[float]]) -> RoundResult:
        """Sort the target's metrics of a round; `before` has each source's scores of the rounds before."""
        alpha = {name: metrics.pop(f"alpha.{name}") for name in before}
        scores = {name: metrics.pop(f"peer.{name}") for name in before}
        risks = source_risks({name: [*before[name], score] for name, score in scores.items()}, self.reuse.alpha)
        peers = {name: {"score": scores[name], "risk": risks[name]} for name in before}
        labelling = [name for name in metrics if name.startswith("committee.")]
        committee = {name.removeprefix("committee."): metrics.pop(name) for name in labelling}
        return RoundResult(number, metrics, alpha, committee, peers)

    def _take(self, replies: Iterable[Message], result: RunResult, *, must: bool) -> None:
        """Take models and metrics out of the replies.

        A source that failed is reused in its last version. With `must` a failed target ends the run.
        """
        for reply in replies:
            if (reason := failure_of(reply)) is not None:
                if must and self._hosts[self.topology.target] == reply.metadata.src_node_id:
                    raise FedRetinaError(f"the target's node failed: {reason}")
                _log.warning("a node failed, its domains are reused in their last version: %s", reason)
                continue
            result.models.update(reply.content.array_records.items())
            for name, record in reply.content.metric_records.items():
                domain, _, learner = name.partition("/")
                if domain == self.topology.target and learner != "reuse":
                    result.baselines[learner] = numbers_of(record)
            configs = reply.content.config_records
            if "showcase" in configs:
                result.showcase = json.loads(str(configs["showcase"]["json"]))
            if "finetune" in configs:
                result.finetuned = str(configs["finetune"]["source"])
