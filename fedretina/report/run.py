"""A run's folder, read and checked: what the tables, the plots and the page are made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedretina import home, ledger
from fedretina.errors import BadArgument, Corrupt
from fedretina.ledger import Row, Totals
from fedretina.report.fields import Fields, load_json

RECORDS = ("summary.json", "ledger.jsonl", "config.json")
FACTS = ("model", "data", "seed")
RESULTS = {
    "baseline": "Target alone",
    "finetune": "Best source, fine-tuned",
    "reuse": "Reuse",
    "full": "Target with all labels",
}
_BYTES = ("raw_bytes_down", "raw_bytes_up", "wire_bytes_down", "wire_bytes_up")


@dataclass(frozen=True)
class Result:
    """One way to train the target: key and label of `RESULTS`, metrics in order, its source if it has one."""

    key: str
    label: str
    metrics: Mapping[str, float]
    source: str = ""


@dataclass(frozen=True)
class Peer:
    """A source in a round: its score in percent and its risk R_m at the target, and the bytes that it was sent down in."""

    score: float
    risk: float
    sent: int


@dataclass(frozen=True)
class Round:
    """One round of reuse: the target's metrics after it, alpha of each source, bytes of its messages.

    `peers` and `bound`, Theorem 1's without its constants, and `committee`, what it labelled last, are those of runs that
    noted them.
    """

    number: int
    metrics: Mapping[str, float]
    alpha: Mapping[str, float]
    totals: Totals
    peers: Mapping[str, Peer] = field(default_factory=dict)
    bound: float | None = None
    committee: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Shot:
    """One picture of a ranking; `right`: whether it shows the query's identity, None for the query."""

    path: Path
    identity: str
    camera: str
    right: bool | None = None


@dataclass(frozen=True)
class Ranking:
    """A query and what was found in the gallery, nearest first."""

    query: Shot
    gallery: Sequence[Shot]


@dataclass(frozen=True)
class Run:
    """What a run left behind.

    `status` is "completed", "failed" or "unfinished", `reason` why not the first. `strategy` is one of Flower's where a run
    was one of a single model, without target and sources.
    """

    folder: Path
    status: str
    reason: str
    target: str
    sources: Sequence[str]
    facts: Mapping[str, str]
    results: Mapping[str, Result]
    rounds: Sequence[Round]
    rows: Sequence[Row]
    totals: Totals
    rankings: Sequence[Ranking]
    config: Mapping[str, Any]
    versions: Mapping[str, Any]
    strategy: str = ""

    @property
    def name(self) -> str:
        """What the curve of the rounds is called."""
        return self.strategy or "reuse"

    @property
    def last(self) -> Mapping[str, float]:
        """The metrics after the last round, or those of the reuse result where there is one."""
        if "reuse" in self.results:
            return self.results["reuse"].metrics
        return self.rounds[-1].metrics if self.strategy and self.rounds else {}

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, the primary one (the first of the reuse result) first."""
        reuse = [self.results["reuse"].metrics] if "reuse" in self.results else []
        all_of_them = [
            *reuse,
            *(entry.metrics for entry in self.rounds),
            *(r.metrics for r in self.results.values()),
        ]
        return list(dict.fromkeys(name for metrics in all_of_them for name in metrics))


def latest() -> Path:
    """Return the folder of the run, among those in the user's folder, whose records changed last.

    Raises
    ------
    BadArgument
        If there is none.
    """
    folders = [folder for folder in home.runs().iterdir() if _records(folder)]
    if not folders:
        raise BadArgument(f"no run in {home.runs()} yet: start one, or name a run's folder")
    return max(folders, key=lambda folder: max(record.stat().st_mtime_ns for record in _records(folder)))


def load(folder: Path) -> Run:
    """Read a run's folder, also that of a run which failed or is under way.

    Raises
    ------
    BadArgument
        If it is no run's folder.
    Corrupt
        If one of its files is not of the form that runs write; the message names the file and the key.
    """
    folder = folder.absolute()
    if not _records(folder):
        raise BadArgument(f"{folder} is no run: it holds none of {', '.join(RECORDS)}")
    summary = _fields(folder / "summary.json")
    status, reason = _status(summary)
    rounds = [
        read_round(entry, where=f"{summary.where}, rounds[{index}]") for index, entry in enumerate(summary.items("rounds"))
    ]
    rows = ledger.read(folder / "ledger.jsonl") if (folder / "ledger.jsonl").exists() else []
    return Run(
        folder=folder,
        status=status,
        reason=reason,
        target=summary.get("target", ""),
        sources=[str(source) for source in summary.items("sources")],
        facts={name: str(summary.values[name]) for name in ("model", "data", "seed") if name in summary.values},
        results=_results(summary),
        rounds=rounds,
        rows=rows,
        totals=_totals(summary) if any(name in summary.values for name in _BYTES) else ledger.totals(rows),
        rankings=_rankings(folder),
        config=_fields(folder / "config.json").values,
        versions=_fields(folder / "versions.json").values,
        strategy=summary.get("strategy", ""),
    )


def read_round(entry: object, *, where: str = "round") -> Round:
    """Read one entry of the summary's `rounds`: each number that is no round, bound or byte count is a metric.

    Raises
    ------
    Corrupt
        If a value has the wrong type, or the round's number is missing.
    """
    fields = Fields(entry, where=where)
    return Round(
        number=fields.need("round", 0),
        metrics=fields.numbers(but=("round", "bound", *_BYTES)),
        alpha=_weights(fields),
        totals=_totals(fields),
        peers={source: _peer(fields.below("peers").below(source)) for source in fields.below("peers").values},
        bound=fields.numbers().get("bound"),
        committee=fields.below("committee").numbers(),
    )


def _records(folder: Path) -> list[Path]:
    return [folder / name for name in RECORDS if (folder / name).is_file()]


def _fields(path: Path) -> Fields:
    return Fields(load_json(path) or {}, where=path)


def _status(summary: Fields) -> tuple[str, str]:
    status = summary.get("status", "unfinished")
    reasons = {
        "completed": "",
        "failed": summary.get("error", "") or "the run gives no reason",
        "unfinished": "it is still under way, or was ended from outside",
    }
    if status not in reasons:
        raise Corrupt(f"{summary.where}: status is {status!r}, neither 'completed' nor 'failed'")
    return status, reasons[status]


def _results(summary: Fields) -> dict[str, Result]:
    found = {key: summary.below(key) for key in RESULTS if summary.values.get(key)}
    return {key: Result(key, RESULTS[key], fields.numbers(), fields.get("source", "")) for key, fields in found.items()}


def _weights(fields: Fields) -> dict[str, float]:
    """Return alpha, without what is not finite."""
    return {source: weight for source, weight in fields.below("alpha").numbers().items() if math.isfinite(weight)}


def _peer(fields: Fields) -> Peer:
    numbers = fields.numbers()
    return Peer(numbers.get("score", math.nan), numbers.get("risk", math.nan), fields.get("wire_bytes_down", 0))


def _totals(fields: Fields) -> Totals:
    return Totals(*(fields.get(name, 0) for name in _BYTES))


def _rankings(folder: Path) -> list[Ranking]:
    path = folder / "ranking.json"
    entries = load_json(path) or []
    if not isinstance(entries, list):
        raise Corrupt(f"{path}: a list was expected, not {entries!r:.60}")
    return [_ranking(Fields(entry, where=f"{path}, [{index}]")) for index, entry in enumerate(entries)]


def _ranking(fields: Fields) -> Ranking:
    gallery = [
        Fields(entry, where=f"{fields.where}, gallery[{index}]") for index, entry in enumerate(fields.items("gallery"))
    ]
    return Ranking(_shot(fields.below("query")), [_shot(entry, right=entry.need("right", False)) for entry in gallery])


def _shot(fields: Fields, *, right: bool | None = None) -> Shot:
    identity, camera = (str(fields.values.get(name, "?")) for name in ("identity", "camera"))
    return Shot(Path(fields.need("picture", "")), identity, camera, right)
