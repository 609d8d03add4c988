"""The schema of a run's folder: what its JSON files hold. `RunFolder` writes them, `fedretina.runs.reader` reads them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fedretina.ledger import Row, Totals, totals

SUMMARY, STATE, CONFIG = "summary.json", "state.json", "config.json"
VERSIONS, RANKING, LEDGER = "versions.json", "ranking.json", "ledger.jsonl"
RESULTS = ("baseline", "finetune", "reuse", "full")
STATUSES = ("completed", "failed", "unfinished")
TRAFFIC = ("raw_bytes_down", "raw_bytes_up", "wire_bytes_down", "wire_bytes_up")
Scalar = bool | int | float | str


@dataclass(frozen=True)
class Result:
    """One way to train the target: its key in `RESULTS`, metrics in order, its source if it has one."""

    key: str
    metrics: Mapping[str, float]
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give the result's entry of the summary."""
        return {**self.metrics, **({"source": self.source} if self.source else {})}


@dataclass(frozen=True)
class Peer:
    """A source in a round: its score in percent and its risk R_m at the target, and the bytes that were sent down."""

    score: float
    risk: float
    sent: int

    def to_json(self) -> dict[str, float]:
        """Give the peer's entry of a round."""
        return {"score": self.score, "risk": self.risk, "wire_bytes_down": self.sent}


@dataclass(frozen=True)
class Round:
    """One round: the target's (or the server's) metrics after it, alpha of each source, bytes of its messages.

    `peers`, `bound` and `committee` are empty in a run that did not note them. `bound` is Theorem 1's without its
    constants; `committee` says what the committee labelled.
    """

    number: int
    metrics: Mapping[str, float]
    alpha: Mapping[str, float]
    totals: Totals
    peers: Mapping[str, Peer] = field(default_factory=dict)
    bound: float | None = None
    committee: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give the round's entry of the summary."""
        entry: dict[str, Any] = {"round": self.number, **self.metrics}
        if self.alpha:
            entry["alpha"] = dict(self.alpha)
        if self.committee:
            entry["committee"] = dict(self.committee)
        if self.bound is not None:
            entry["bound"] = self.bound
        if self.peers:
            entry["peers"] = {source: peer.to_json() for source, peer in self.peers.items()}
        return entry | traffic_to_json(self.totals)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """summary.json: what a run came to. Everything in it follows from the seed: two equal runs have equal summaries.

    Parameters
    ----------
    status : str
        One of `STATUSES`; "unfinished" is never written: it stands for a missing summary.
    error : str, default ""
        Why the run failed.
    target, sources : str and sequence of str
        The domains of a run with a target.
    strategy, codec : str, default ""
        Flower's strategy, and how models were coded, of a run without a target.
    seed : int or None
        What everything random followed from; in a run that failed, what was given.
    data, model : str, default ""
        Where the data came from, and the network.
    results : mapping of str to Result
        What was trained on the target, by keys of `RESULTS`.
    alpha : mapping of str to float
        Each source's weight after the last round.
    final_metrics : mapping of str to float
        What the server's model came to, of a run without a target.
    totals : Totals
        The bytes of all messages.
    rounds : sequence of Round
        In order.
    """

    status: str
    error: str = ""
    target: str = ""
    sources: Sequence[str] = ()
    strategy: str = ""
    codec: str = ""
    seed: Scalar | None = None
    data: str = ""
    model: str = ""
    results: Mapping[str, Result] = field(default_factory=dict)
    alpha: Mapping[str, float] = field(default_factory=dict)
    final_metrics: Mapping[str, float] = field(default_factory=dict)
    totals: Totals = field(default_factory=lambda: totals([]))
    rounds: Sequence[Round] = ()

    def to_json(self) -> dict[str, Any]:
        """Give what summary.json holds; what a run does not have is left out."""
        domains = {"target": self.target, "sources": list(self.sources)} if self.target or self.sources else {}
        facts = {"strategy": self.strategy, "codec": self.codec, "seed": self.seed, "data": self.data, "model": self.model}
        return {
            "status": self.status,
            **({"error": self.error} if self.error else {}),
            **domains,
            **{name: value for name, value in facts.items() if value not in ("", None)},
            **{key: result.to_json() for key, result in self.results.items()},
            **({"alpha": dict(self.alpha)} if self.alpha else {}),
            **self.final_metrics,
            **traffic_to_json(self.totals),
            "rounds": [entry.to_json() for entry in self.rounds],
        }


@dataclass(frozen=True, kw_only=True)
class RoundState:
    """A round in state.json: what the strategy needs of it to go on. Fields as in `Round`, peers without bytes."""

    round: int
    metrics: Mapping[str, float]
    alpha: Mapping[str, float]
    committee: Mapping[str, float] = field(default_factory=dict)
    peers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class State:
    """state.json: what a run that is resumed goes on from, beside its models.

    Parameters
    ----------
    run : str
        The run's name, by which nodes find what they kept.
    rounds : sequence of RoundState
        The finished rounds.
    models : sequence of str
        The domains whose last version is kept, as ``models/<domain>.safetensors``.
    baselines : mapping of str to mapping
        Metrics of what the target is compared with, by name.
    finetuned : str, default ""
        The source that was fine-tuned.
    """

    run: str
    rounds: Sequence[RoundState] = ()
    models: Sequence[str] = ()
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    finetuned: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give what state.json holds."""
        return asdict(self)


@dataclass(frozen=True)
class Config:
    """config.json: the run's configuration by key, as the app's pyproject.toml and ``flwr run -c`` gave it."""

    values: Mapping[str, Scalar] = field(default_factory=dict)


def traffic_to_json(sums: Totals) -> dict[str, int]:
    """Give bytes as a summary has them.

    Examples
    --------
    >>> traffic_to_json(Totals(9, 8, 2, 1))
    {'raw_bytes_down': 9, 'raw_bytes_up': 8, 'wire_bytes_down': 2, 'wire_bytes_up': 1}
    """
    return dict(zip(TRAFFIC, (sums.raw_down, sums.raw_up, sums.wire_down, sums.wire_up), strict=True))


def totals_of_round(rows: Iterable[Row], number: int) -> Totals:
    """Sum the bytes of one round; the first round's include what was sent before it."""
    return totals(row for row in rows if row.round == number or (row.round == 0 and number == 1))
