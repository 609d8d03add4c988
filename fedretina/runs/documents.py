"""Read the JSON files of a run's folder, one function each: `Corrupt` names the file and what is wrong in it."""

import math
from pathlib import Path

from fedretina import ledger
from fedretina.errors import Corrupt
from fedretina.ledger import Row, Totals
from fedretina.runs.fields import Fields, load_json
from fedretina.runs.schema import (
    CONFIG,
    RESULTS,
    STATE,
    STATUSES,
    SUMMARY,
    TRAFFIC,
    Config,
    Peer,
    Result,
    Round,
    RoundState,
    State,
    Summary,
)


def read_summary(folder: Path, rows: list[Row]) -> Summary:
    """Read a folder's summary; without one the run is unfinished, and its bytes are those of the ledger's rows."""
    fields = read_object(folder / SUMMARY)
    status = fields.get("status", "unfinished")
    if status not in STATUSES:
        raise Corrupt(f"{fields.where}: status is {status!r}, neither 'completed' nor 'failed'")
    entries = enumerate(fields.items("rounds"))
    return Summary(
        status=status,
        error=fields.get("error", ""),
        target=fields.get("target", ""),
        sources=[str(source) for source in fields.items("sources")],
        strategy=fields.get("strategy", ""),
        codec=fields.get("codec", ""),
        seed=fields.values.get("seed"),
        data=fields.get("data", ""),
        model=fields.get("model", ""),
        results=_results(fields),
        alpha=_weights(fields),
        final_metrics=fields.numbers(without=("seed", *TRAFFIC)),
        totals=_totals(fields) if any(name in fields.values for name in TRAFFIC) else ledger.totals(rows),
        rounds=[read_round(entry, where=f"{fields.where}, rounds[{index}]") for index, entry in entries],
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
        number=fields.require("round", 0),
        metrics=fields.numbers(without=("round", "bound", *TRAFFIC)),
        alpha=_weights(fields),
        totals=_totals(fields),
        peers={source: _peer(fields.child("peers").child(source)) for source in fields.child("peers").values},
        bound=fields.numbers().get("bound"),
        committee=fields.child("committee").numbers(),
    )


def read_state(folder: Path) -> State:
    """Read what a resumed run goes on from.

    Raises
    ------
    Corrupt
        If there is no state.json, or it is not of the form that runs write.
    """
    if not (folder / STATE).exists():
        raise Corrupt(f"{folder / STATE} is missing: that run cannot be resumed, start a new one")
    fields = read_object(folder / STATE)
    entries = enumerate(fields.items("rounds"))
    return State(
        run=fields.require("run", ""),
        rounds=[_round_state(Fields(entry, where=f"{fields.where}, rounds[{index}]")) for index, entry in entries],
        models=[str(domain) for domain in fields.items("models")],
        baselines={name: fields.child("baselines").child(name).numbers() for name in fields.child("baselines").values},
        finetuned=fields.get("finetuned", ""),
    )


def read_config(folder: Path) -> Config:
    """Read a run's configuration, empty if there is none.

    Raises
    ------
    Corrupt
        If a value is no text, number, true or false.
    """
    fields = read_object(folder / CONFIG)
    for key, value in fields.values.items():
        if not isinstance(value, bool | int | float | str):
            raise Corrupt(f"{fields.where}: {key} is {value!r:.60}: a text, a number, true or false was expected")
    return Config(fields.values)


def read_object(path: Path) -> Fields:
    """Read a file that holds one JSON object; it is empty if there is no file."""
    return Fields(load_json(path) or {}, where=path)


def _results(summary: Fields) -> dict[str, Result]:
    found = {key: summary.child(key) for key in RESULTS if summary.values.get(key)}
    return {key: Result(key, fields.numbers(), fields.get("source", "")) for key, fields in found.items()}


def _weights(fields: Fields) -> dict[str, float]:
    """Return alpha, without what is not finite."""
    return {source: weight for source, weight in fields.child("alpha").numbers().items() if math.isfinite(weight)}


def _peer(fields: Fields) -> Peer:
    numbers = fields.numbers()
    return Peer(numbers.get("score", math.nan), numbers.get("risk", math.nan), fields.get("wire_bytes_down", 0))


def _round_state(fields: Fields) -> RoundState:
    peers = fields.child("peers")
    for source in peers.values:
        for name in ("score", "risk"):
            peers.child(source).require(name, 0.0)
    if unknown := set(fields.child("alpha").values) - set(peers.values) if peers.values else set():
        raise Corrupt(f"{fields.where}: alpha names {', '.join(sorted(unknown))}, which peers does not: restore the file")
    return RoundState(
        round=fields.require("round", 0),
        metrics=fields.child("metrics").numbers(),
        alpha=fields.child("alpha").numbers(),
        committee=fields.child("committee").numbers(),
        peers={source: peers.child(source).numbers() for source in peers.values},
    )


def _totals(fields: Fields) -> Totals:
    return Totals(*(fields.get(name, 0) for name in TRAFFIC))
