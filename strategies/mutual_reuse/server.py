"""The server's half: turns in simulated time, the choice of peers, relays, the journal."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedretina.checks import check_domain_name
from fedretina.errors import BadArgument, FedRetinaError
from fedretina.flower import PayloadRelay, error_size, message_size, relay_rows
from fedretina.ledger import Ledger, Row
from fedretina.strategies.mutual_reuse.choosing import PeerChoice, Selection
from fedretina.strategies.mutual_reuse.dispatcher import Dispatcher
from fedretina.strategies.mutual_reuse.journal import Journal
from fedretina.strategies.mutual_reuse.links import LinkModel
from fedretina.strategies.mutual_reuse.repeats import (
    SENT_AGAIN,
    failure_record,
    read_failure,
    take_repeats,
    undecoded,
    with_repeats,
)
from fedretina.strategies.mutual_reuse.replies import check_reply, turn_facts
from fedretina.strategies.mutual_reuse.timetable import Timetable
from fedretina.strategies.mutual_reuse.turns import Turn, TurnOrder, read_sketch
from fedretina.strategies.peer_reuse.config import ReuseConfig
from fedretina.strategies.peer_reuse.hosts import find_hosts
from fedretina.strategies.peer_reuse.jobs import Job, Setting
from fedretina.strategies.peer_reuse.replies import failure_of, numbers_of
from fedretina.train import Training

_log = logging.getLogger("fedretina.strategies")
NODES_S = 120.0
Direction = Literal["down", "up"]


@dataclass
class _Member:
    """What the server knows of one domain."""

    turns: int = 0
    turns_with_peers: int = 0
    chosen: dict[str, int] = field(default_factory=dict)  # by peer of the turn that runs: the version's number
    start: float = 0.0
    request: RecordDict = field(default_factory=RecordDict)
    reply: RecordDict = field(default_factory=RecordDict)
    down: int = 0
    resent: int = 0
    rows: list[Row] = field(default_factory=list)  # of the ledger, for the message of the turn that runs
    repeats: list[Row] = field(default_factory=list)  # the same, for all that was sent and came again


class MutualReuse:
    """Every domain is a target and a source: it trains when its turn comes, with what its peers have published until then.

    There is no barrier: a slow domain holds nobody. Time is simulated. It follows from the drawn links and the bytes of the
    messages, so equal seeds give equal runs on any number of nodes and processes.

    Parameters
    ----------
    domains : sequence of str
        The domains.
    training : Training
        Settings of the training; `rounds` is the number of turns of a domain.
    reuse : ReuseConfig
        Settings of the reuse.
    selection : Selection
        How peers are chosen.
    links : LinkModel
        The distributions of the links.
    run : str
        Name of the run. Nodes save their checkpoints under it, so a resumed run must have the same name.
    settings : mapping of str to bool, int, float or str, optional
        Settings for the nodes' app.
    relay : PayloadRelay, optional
        Keeps and relays the versions; a `SignedRelay` checks and relays signatures too.
    journal : Path, optional
        Folder of the replies. A run that finds replies there takes them instead of asking the nodes again.
    metric : str, optional
        The task's metric: a reply without it is a failed turn.
    ledger : Ledger, optional
        Gets the rows of all messages of a turn when its simulated time is over. So equal seeds give equal ledgers, but for
        identifiers of nodes and seconds.
    on_turn : callable, optional
        Called with each `Turn`, in the order of simulated time.

    Raises
    ------
    BadArgument
        If a domain's name is not allowed, or occurs twice.

    Examples
    --------
    In a ServerApp::

        turns = MutualReuse(domains, training, reuse, selection=Selection(budget=50_000), run="demo").start(grid)
    """

    def __init__(
        self,
        domains: Sequence[str],
        training: Training,
        reuse: ReuseConfig,
        *,
        run: str,
        selection: Selection = Selection(),  # noqa: B008  # frozen
        links: LinkModel = LinkModel(),  # noqa: B008  # frozen
        settings: Mapping[str, Setting] | None = None,
        relay: PayloadRelay | None = None,
        journal: Path | None = None,
        metric: str = "",
        ledger: Ledger | None = None,
        on_turn: Callable[[Turn], None] | None = None,
    ) -> None:
        for name in domains:
            check_domain_name("domains", name)
        if len(set(domains)) < max(len(domains), 2):
            raise BadArgument(f"{len(domains)} domains, {len(set(domains))} different: give at least two, all different")
        self.domains, self.training, self.reuse, self.run = tuple(domains), training, reuse, run
        self.link_model, self.settings = links, dict(settings or {})
        self.choice = PeerChoice(self.domains, selection, seed=training.seed)
        self.links = links.draw(self.domains, seed=training.seed)
        self.relay = PayloadRelay() if relay is None else relay
        self.ledger = Ledger(None) if ledger is None else ledger
        self._journal = None if journal is None else Journal(journal)
        self._metric = metric
        self._hosts: Mapping[str, int] = {}
        self._on_turn = on_turn
        self._members = [_Member() for _ in self.domains]
        self._table = Timetable()
        self._raw: dict[str, int] = {}

    def start(self, grid: Grid) -> list[Turn]:
        """Run all turns of all domains, and return them in the order of simulated time.

        Raises
        ------
        FedRetinaError
            If a domain has no node, or if every turn so far failed.
        """
        self._hosts = hosts = find_hosts(grid, self.domains, seconds=NODES_S).domains
        sender, turns = Dispatcher(grid, self._note_repeat), list[Turn]()
        for index in range(len(self.domains)):
            self._table.plan(index, 0.0)
        while not self._table.is_over:
            event = self._table.next()
            if event is None:
                for index, reply in sender.wait():
                    self._receive(index, reply, sender, hosts)
            elif event[0] == "start":
                self._begin(event[2], event[1], sender, hosts)
            else:
                turns.append(self._end(event[2], event[1], turns))
        return turns

    # A turn begins ----------------------------------------------------------------------------------------------------

    def _begin(self, index: int, now: float, sender: Dispatcher, hosts: Mapping[str, int]) -> None:
        domain, member = self.domains[index], self._members[index]
        peers = self.choice.choose(domain, self.relay, member.turns) if member.turns else []
        member.turns, member.start, member.resent = member.turns + 1, now, 0
        member.chosen = {peer: self.relay.version(peer) for peer in peers}
        member.request = self._request(index)
        member.rows = self._rows(index, member.request, "down")
        member.down = message_size(member.request, "down")
        self._table.run(index, earliest_end=self._sent(index))
        known = None if self._journal is None else self._journal.read(domain, member.turns)
        if known is not None:
            member.resent, member.repeats = take_repeats(known)
            self._finish(index, known)
        else:
            sender.send(index, Message(member.request, dst_node_id=hosts[domain], message_type="train"))

    def _request(self, index: int, *, repeated: RecordDict | None = None) -> RecordDict:
        """Make the message of a turn: the job, and the peers' payloads. Without peers the domain trains at home."""
        domain, member = self.domains[index], self._members[index]
        peers = list(member.chosen)
        job = Job(
            run=self.run,
            round=member.turns,
            training=self.training,
            reuse=self.reuse,
            work={domain: "reuse" if peers else "source"},
            baselines=False,
            settings=self.settings,
        )
        content = self.relay.request(domain, peers) if repeated is None else self.relay.repeat(domain, repeated)
        content["job"] = job.record()
        order = TurnOrder(turns_with_peers=member.turns_with_peers, sketch=domain not in self.choice.sketches)
        content["turn"] = order.record()
        return content

    def _rows(self, index: int, content: RecordDict, direction: Direction, *, error: str = "") -> list[Row]:
        """Make the ledger's rows of a message: a record "size" has the raw bytes and the seconds of a reply."""
        domain, member = self.domains[index], self._members[index]
        own = numbers_of(content.metric_records["size"]) if "size" in content.metric_records else {}
        up = direction == "up"
        return relay_rows(
            content,
            direction,
            round_number=member.turns,
            node=self._hosts[domain],
            domain=domain,
            versions={**member.chosen, domain: self.relay.version(domain)},
            raw_bytes={domain: int(own.get("raw", 0))} if up else self._raw,
            encode_s=float(own.get("encode_s", 0.0)),
            error=error,
        )

    # Its reply comes --------------------------------------------------------------------------------------------------

    def _receive(self, index: int, reply: Message, sender: Dispatcher, hosts: Mapping[str, int]) -> None:
        domain, member = self.domains[index], self._members[index]
        missing = reply.content.config_records.get("missing") if reply.has_content() else None
        if missing is not None and not member.resent:
            _log.warning("%s lacks a base: %s", domain, missing.get("text", "it does not say which"))
            # It counts for no simulated time: which node has which models must not change who learns from whom.
            member.request = self._request(index, repeated=member.request)
            member.resent = message_size(member.request, "down")
            self._note_repeat(index, reply, "the node lacks a base")
            sender.send(index, Message(member.request, dst_node_id=hosts[domain], message_type="train"))
            return
        reason = "the node lacks a base of a message that needs none" if missing else self._fault(index, reply)
        if reason is not None:
            _log.warning("turn %d of %s failed, its last version is reused: %s", member.turns, domain, reason)
        content = reply.content if reason is None else failure_record(reason, _size(reply))
        if self._journal is not None:
            self._journal.write(domain, member.turns, with_repeats(content, member.resent, member.repeats))
        self._finish(index, content)

    def _fault(self, index: int, reply: Message) -> str | None:
        """Return why a reply is a failure; None if it is not."""
        if (reason := failure_of(reply)) is not None:
            return reason
        try:
            check_reply(self.domains[index], reply.content, self._metric)
        except FedRetinaError as error:
            return str(error)
        return None

    def _note_repeat(self, index: int, reply: Message, reason: str = "") -> None:
        """Note why a node did not do its work, by default its own reason, and that its message is sent again."""
        member, reason = self._members[index], reason or failure_of(reply) or "the node failed"
        member.repeats += self._failure_row(index, reason, _size(reply))
        member.repeats += self._rows(index, member.request, "down", error=SENT_AGAIN)

    def _failure_row(self, index: int, error: str, size: int) -> list[Row]:
        """Return the row of a reply that brings no model."""
        return [replace(row, wire_bytes=size, raw_bytes=size) for row in self._rows(index, RecordDict(), "up", error=error)]

    def _finish(self, index: int, reply: RecordDict) -> None:
        """Keep a reply until simulated time reaches its end."""
        domain, member = self.domains[index], self._members[index]
        member.reply = reply
        failure = read_failure(reply)
        if failure is None:
            self.relay.acknowledge(domain, member.request, without=undecoded(reply))
        size = message_size(reply, "up") if failure is None else failure.size
        self._table.finish(index, self._sent(index) + size / self.links[domain].up)

    def _sent(self, index: int) -> float:
        """Return when the reply of a turn begins to arrive, in simulated time."""
        domain, member, training = self.domains[index], self._members[index], self.training
        at_home = 0 if self.relay.version(domain) else training.home_epochs / max(1, training.local_epochs)
        return member.start + self.links[domain].until_sent(member.down, len(member.chosen), at_home=at_home)

    # Its simulated time is over ---------------------------------------------------------------------------------------

    def _end(self, index: int, now: float, before: Sequence[Turn]) -> Turn:
        domain, member = self.domains[index], self._members[index]
        turn, rows = self._read(index, now)
        if turn.error and all(other.error for other in before) and len(before) + 1 >= len(self.domains):
            raise FedRetinaError(f"all turns failed, the last one of {domain}: {turn.error}")
        for row in (*member.rows, *member.repeats, *rows):
            self.ledger.append(row)
        member.rows, member.repeats, member.request, member.reply = [], [], RecordDict(), RecordDict()
        self.choice.learn(turn)
        if member.turns < self.training.rounds:
            off = self.link_model.absence(index, member.turns, seed=self.training.seed)
            self._table.plan(index, now + off)
        if self._on_turn is not None:
            self._on_turn(turn)
        return turn

    def _read(self, index: int, now: float) -> tuple[Turn, list[Row]]:
        """Relay the version of a reply, and read its metrics; a version that cannot be believed makes a failed turn.

        The second value is the ledger's rows of the reply.
        """
        domain, member, reply = self.domains[index], self._members[index], self._members[index].reply
        failure = read_failure(reply)
        made: dict[str, Any] = {
            "domain": domain,
            "number": member.turns,
            "start": member.start,
            "end": now,
            "down": member.down,
            "up": message_size(reply, "up") if failure is None else failure.size,
            "resent": member.resent,
        }
        if failure is not None:
            return Turn(**made, error=failure.reason), self._failure_row(index, failure.reason, failure.size)
        try:
            self.relay.receive(domain, reply)
        except FedRetinaError as error:
            _log.warning("turn %d of %s is dropped: %s", member.turns, domain, error)
            # What came cannot be read, so its row has no model, only its bytes.
            return Turn(**made, error=str(error)), self._failure_row(index, str(error), made["up"])
        if (sketch := read_sketch(reply)) is not None:
            self.choice.add_sketch(domain, sketch)
        self._raw[domain] = int(numbers_of(reply.metric_records["size"])["raw"])
        member.turns_with_peers += f"{domain}/reuse" in reply.metric_records
        made |= {"raw_down": sum(self._raw[peer] for peer in member.chosen), "raw_up": self._raw[domain]}
        return Turn(**made, **turn_facts(domain, member.chosen, reply)), self._rows(index, reply, "up")


def _size(reply: Message) -> int:
    """Return the bytes of a reply, be it a content or an error."""
    return error_size(reply) if reply.has_error() else message_size(reply.content, "up")
