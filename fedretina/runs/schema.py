"""The schema of a run's JSON files. `RunFolder` writes them, `load` reads them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fedretina.ledger import Row, Totals, totals

SUMMARY, STATE, CONFIG = "summary.json", "state.json", "config.json"
VERSIONS, RANKING, LEDGER = "versions.json", "ranking.json", "ledger.jsonl"
RESULTS = ("alone", "finetune", "reuse", "full")
STATUSES = ("completed", "failed", "unfinished")
TRAFFIC = ("raw_bytes_down", "raw_bytes_up", "wire_bytes_down", "wire_bytes_up")
Scalar = bool | int | float | str


@dataclass(frozen=True)
class Result:
    """The result of one training on a target: its key in `RESULTS`, its metrics, and its source if it has one."""

    key: str
    metrics: Mapping[str, float]
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the result's entry of the summary."""
        return {**self.metrics, **({"source": self.source} if self.source else {})}


@dataclass(frozen=True)
class Peer:
    """A source in a round: its score in percent and its risk R_m at the target, and the bytes that took its model there."""

    score: float
    risk: float
    sent: int

    def to_json(self) -> dict[str, float]:
        """Return the peer's entry of a round."""
        return {"score": self.score, "risk": self.risk, "wire_bytes_down": self.sent}


@dataclass(frozen=True)
class Round:
    """One round of a target, or of a server's model.

    Parameters
    ----------
    number : int
        From 1.
    metrics : mapping of str to float
        Of the target's or the server's model after the round.
    alpha : mapping of str to float
        The weight of each source.
    totals : Totals
        The bytes of all messages of the run in this round.
    peers : mapping of str to Peer, default none
        By source.
    bound : float, optional
        Theorem 1's bound, without its constants.
    committee : mapping of str to float, default none
        Metrics of the committee: share that it labelled and accuracy, in percent.
    """

    number: int
    metrics: Mapping[str, float]
    alpha: Mapping[str, float]
    totals: Totals
    peers: Mapping[str, Peer] = field(default_factory=dict)
    bound: float | None = None
    committee: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the round's entry of the summary."""
        return self.to_json_of_target() | traffic_to_json(self.totals)

    def to_json_of_target(self) -> dict[str, Any]:
        """Return the round's entry of a target, without bytes: these are the run's."""
        entry: dict[str, Any] = {"round": self.number, **self.metrics}
        if self.alpha:
            entry["alpha"] = dict(self.alpha)
        if self.committee:
            entry["committee"] = dict(self.committee)
        if self.bound is not None:
            entry["bound"] = self.bound
        if self.peers:
            entry["peers"] = {source: peer.to_json() for source, peer in self.peers.items()}
        return entry


@dataclass(frozen=True, kw_only=True)
class Target:
    """One target of a run.

    Parameters
    ----------
    results : mapping of str to Result
        By keys of `RESULTS`.
    alpha : mapping of str to float
        Each source's weight after the last round.
    rounds : sequence of Round
        In order.
    """

    results: Mapping[str, Result] = field(default_factory=dict)
    alpha: Mapping[str, float] = field(default_factory=dict)
    rounds: Sequence[Round] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the target's entry of the summary."""
        return {
            "results": {key: result.to_json() for key, result in self.results.items()},
            "alpha": dict(self.alpha),
            "rounds": [entry.to_json_of_target() for entry in self.rounds],
        }


@dataclass(frozen=True, kw_only=True)
class Summary:
    """summary.json: the results of a run. Everything in it follows from the seed, so two equal runs have equal summaries.

    Parameters
    ----------
    status : str
        One of `STATUSES`. "unfinished" stands for a missing summary and is never written.
    error : str, default ""
        Why the run failed.
    targets : mapping of str to Target
        By domain, in order; empty in a run of one of Flower's strategies.
    sources : sequence of str
        The domains whose models the targets reuse.
    strategy, codec : str, default ""
        Flower's strategy and the codec, in a run without targets.
    seed : int or None
        The seed; in a failed run, the value that was given.
    data, model : str, default ""
        The folder of the data, and the network.
    final_metrics : mapping of str to float
        Of the server's last model, in a run without targets.
    totals : Totals
        The bytes of all messages.
    rounds : sequence of Round
        In order: bytes, and in a run without targets the metrics of the server's model.
    """

    status: str
    error: str = ""
    targets: Mapping[str, Target] = field(default_factory=dict)
    sources: Sequence[str] = ()
    strategy: str = ""
    codec: str = ""
    seed: Scalar | None = None
    data: str = ""
    model: str = ""
    final_metrics: Mapping[str, float] = field(default_factory=dict)
    totals: Totals = field(default_factory=lambda: totals([]))
    rounds: Sequence[Round] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the content of summary.json; fields that the run does not have are left out."""
        targets = {name: target.to_json() for name, target in self.targets.items()}
        domains = {"targets": targets, "sources": list(self.sources)} if targets or self.sources else {}
        facts = {"strategy": self.strategy, "codec": self.codec, "seed": self.seed, "data": self.data, "model": self.model}
        return {
            "status": self.status,
            **({"error": self.error} if self.error else {}),
            **domains,
            **{name: value for name, value in facts.items() if value not in ("", None)},
            **self.final_metrics,
            **traffic_to_json(self.totals),
            "rounds": [entry.to_json() for entry in self.rounds],
        }


@dataclass(frozen=True, kw_only=True)
class RoundState:
    """A round of a target in state.json: the fields of `Round` that a resumed run needs."""

    round: int
    metrics: Mapping[str, float]
    alpha: Mapping[str, float]
    committee: Mapping[str, float] = field(default_factory=dict)
    peers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TargetState:
    """A target in state.json.

    Parameters
    ----------
    rounds : sequence of RoundState
        The finished rounds.
    baselines : mapping of str to mapping
        Metrics of the baselines, by name.
    finetuned : str, default ""
        The source that was fine-tuned.
    """

    rounds: Sequence[RoundState] = ()
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    finetuned: str = ""


@dataclass(frozen=True, kw_only=True)
class State:
    """state.json: what a resumed run needs, beside the models.

    Parameters
    ----------
    run : str
        The run's name. Nodes find their checkpoints by it.
    targets : mapping of str to TargetState
        By domain.
    models : sequence of str
        The streams whose last version is saved, as ``models/<stream>.safetensors``.
    sealed : mapping of str to str
        By sealed stream: the digest of its last version, in hex. The server cannot read it; ``streams/sealed`` has payloads.
    """

    run: str
    targets: Mapping[str, TargetState] = field(default_factory=dict)
    models: Sequence[str] = ()
    sealed: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the content of state.json."""
        return asdict(self)


@dataclass(frozen=True)
class Config:
    """config.json: the run's configuration by key, from the app's pyproject.toml and ``flwr run -c``."""

    values: Mapping[str, Scalar] = field(default_factory=dict)


def traffic_to_json(sums: Totals) -> dict[str, int]:
    """Return bytes in the form of a summary.

    Examples
    --------
    >>> traffic_to_json(Totals(9, 8, 2, 1))
    {'raw_bytes_down': 9, 'raw_bytes_up': 8, 'wire_bytes_down': 2, 'wire_bytes_up': 1}
    """
    return dict(zip(TRAFFIC, (sums.raw_down, sums.raw_up, sums.wire_down, sums.wire_up), strict=True))


def totals_of_round(rows: Iterable[Row], number: int) -> Totals:
    """Sum the bytes of one round; the first round includes the messages before it."""
    return totals(row for row in rows if row.round == number or (row.round == 0 and number == 1))
