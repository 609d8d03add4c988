"""A run's folder as it is read: the summary and what lies beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedretina.ledger import Row
from fedretina.runs.schema import Scalar, Summary


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


@dataclass(frozen=True, kw_only=True)
class Run(Summary):
    """A run's folder as it was read: its summary, and the rows, rankings, configuration and versions beside it."""

    folder: Path
    rows: Sequence[Row] = ()
    rankings: Sequence[Ranking] = ()
    config: Mapping[str, Scalar] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why the run did not complete; "" if it did."""
        return {
            "completed": "",
            "failed": self.error or "the run gives no reason",
            "unfinished": "it is still under way, or was ended from outside",
        }[self.status]

    @property
    def facts(self) -> dict[str, str]:
        """Model, data and seed, where they are known."""
        facts = {"model": self.model, "data": self.data, "seed": "" if self.seed is None else str(self.seed)}
        return {name: fact for name, fact in facts.items() if fact}

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
        every = [*reuse, *(entry.metrics for entry in self.rounds), *(r.metrics for r in self.results.values())]
        return list(dict.fromkeys(name for metrics in every for name in metrics))
