"""A run's folder in memory: the summary, and the contents of the other files."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedretina.ledger import Row
from fedretina.runs.messages import MessageGroup, group_messages, wire_bytes
from fedretina.runs.schema import Result, Round, Scalar, Summary


@dataclass(frozen=True)
class Picture:
    """One picture of a ranking; `right`: whether it shows the query's identity, None for the query."""

    path: Path
    identity: str
    camera: str
    right: bool | None = None


@dataclass(frozen=True)
class Ranking:
    """A query and the pictures of the gallery, nearest first."""

    query: Picture
    gallery: Sequence[Picture]


@dataclass(frozen=True, kw_only=True)
class ModelHistory:
    """The history of one model: that of a target, or the server's model of a run without targets.

    Parameters
    ----------
    target : str
        The domain; "" for the server's model.
    method : str
        How the model was trained: "reuse", or the name of Flower's strategy.
    results : mapping of str to Result
        The target's results, by key.
    rounds : sequence of Round
        In order, with the bytes of the whole run.
    rankings : sequence of Ranking
        Examples of the last model's results.
    """

    target: str
    method: str
    results: Mapping[str, Result] = field(default_factory=dict)
    rounds: Sequence[Round] = ()
    rankings: Sequence[Ranking] = ()

    @property
    def last(self) -> Mapping[str, float]:
        """The metrics of the last model; empty if there is none."""
        if self.target:
            return self.results["reuse"].metrics if "reuse" in self.results else {}
        return self.rounds[-1].metrics if self.rounds else {}

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics. The first one is the primary metric: the first of the reuse result."""
        reuse = [self.results["reuse"].metrics] if "reuse" in self.results else []
        all_metrics = [*reuse, *(e.metrics for e in self.rounds), *(result.metrics for result in self.results.values())]
        return list(dict.fromkeys(name for metrics in all_metrics for name in metrics))

    @property
    def metric(self) -> str:
        """The primary metric; "" if there is none."""
        return next(iter(self.metrics), "")


@dataclass(frozen=True, kw_only=True)
class Run(Summary):
    """A run's folder: its summary, and the ledger's rows, rankings by target, configuration and versions."""

    folder: Path
    rows: Sequence[Row] = ()
    rankings: Mapping[str, Sequence[Ranking]] = field(default_factory=dict)
    config: Mapping[str, Scalar] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def histories(self) -> list[ModelHistory]:
        """The histories of the targets' models, or that of the server's model in a run without targets."""
        if not self.targets:
            return [ModelHistory(target="", method=self.strategy, rounds=self.rounds)]
        return [
            ModelHistory(
                target=name,
                method="reuse",
                results=target.results,
                rounds=target.rounds,
                rankings=self.rankings.get(name, ()),
            )
            for name, target in self.targets.items()
        ]

    @property
    def message_groups(self) -> list[MessageGroup]:
        """The messages by kind and direction."""
        return group_messages(self.rows)

    @property
    def wire_bytes(self) -> Counter[tuple[int, str, str]]:
        """The bytes on the wire by round, direction and kind."""
        return wire_bytes(self.rows)

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
        """Model, data and seed, if they are known."""
        facts = {"model": self.model, "data": self.data, "seed": "" if self.seed is None else str(self.seed)}
        return {name: fact for name, fact in facts.items() if fact}
