"""Read the JSON files of a run's folder, one function each. `Corrupt` names the file, the key and its value."""

import math
from dataclasses import replace
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
    Target,
    TargetState,
)


def read_summary(folder: Path, rows: list[Row]) -> Summary:
    """Read a folder's summary; without the file, the run is unfinished and its bytes are summed over the ledger's rows."""
    fields = read_object(folder / SUMMARY)
    status = fields.get("status", "unfinished")
    if status not in STATUSES:
        raise Corrupt(f"{fields.where}: status is {status!r}; allowed are 'completed' and 'failed'; restore the file")
    rounds = [read_round(entry, where=where) for where, entry in _entries(fields)]
    targets = fields.child("targets")
    return Summary(
        status=status,
        error=fields.get("error", ""),
        targets={name: _target(targets.child(name), rounds) for name in targets.values},
        sources=[str(source) for source in fields.items("sources")],
        strategy=fields.get("strategy", ""),
        codec=fields.get("codec", ""),
        seed=fields.values.get("seed"),
        data=fields.get("data", ""),
        model=fields.get("model", ""),
        final_metrics=fields.numbers(without=("seed", *TRAFFIC)),
        totals=_totals(fields) if any(name in fields.values for name in TRAFFIC) else ledger.totals(rows),
        rounds=rounds,
    )


def read_round(entry: object, *, where: str = "round") -> Round:
    """Read a round. Every number in it is a metric, except the round's number, the bound and the bytes.

    Parameters
    ----------
    entry : object
        The JSON value.
    where : str, optional
        Named in errors.

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
    """Read the state that a resumed run needs.

    Raises
    ------
    Corrupt
        If state.json is missing, or has another form than the one that runs write.
    """
    if not (folder / STATE).exists():
        raise Corrupt(f"{folder / STATE} is missing: the run cannot be resumed; start a new one")
    fields = read_object(folder / STATE)
    targets, sealed = fields.child("targets"), fields.child("sealed")
    return State(
        run=fields.require("run", ""),
        targets={name: _target_state(targets.child(name)) for name in targets.values},
        models=[str(stream) for stream in fields.items("models")],
        sealed={stream: sealed.get(stream, "") for stream in sealed.values},
    )


def read_config(folder: Path) -> Config:
    """Read a run's configuration; it is empty if there is no file.

    Raises
    ------
    Corrupt
        If a value is not a text, a number, true or false.
    """
    fields = read_object(folder / CONFIG)
    for key, value in fields.values.items():
        if not isinstance(value, bool | int | float | str):
            raise Corrupt(
                f"{fields.where}: {key} is {value!r:.60}: a text, a number, true or false is allowed; restore the file"
            )
    return Config(fields.values)


def read_object(path: Path) -> Fields:
    """Read a file with one JSON object; the object is empty if there is no file."""
    return Fields(load_json(path) or {}, where=path)


def _entries(fields: Fields) -> list[tuple[str, object]]:
    """List the entries of `rounds`, each with its name in errors."""
    return [(f"{fields.where}, rounds[{index}]", entry) for index, entry in enumerate(fields.items("rounds"))]


def _target(fields: Fields, rounds: list[Round]) -> Target:
    """Read a target; the bytes of its rounds are the run's."""
    totals = {entry.number: entry.totals for entry in rounds}
    found = [read_round(entry, where=where) for where, entry in _entries(fields)]
    return Target(
        results=_results(fields.child("results")),
        alpha=_weights(fields),
        rounds=[replace(entry, totals=totals.get(entry.number, entry.totals)) for entry in found],
    )


def _results(fields: Fields) -> dict[str, Result]:
    found = {key: fields.child(key) for key in RESULTS if fields.values.get(key)}
    return {key: Result(key, fields.numbers(), fields.get("source", "")) for key, fields in found.items()}


def _weights(fields: Fields) -> dict[str, float]:
    """Return alpha; weights that are not finite are left out."""
    return {source: weight for source, weight in fields.child("alpha").numbers().items() if math.isfinite(weight)}


def _peer(fields: Fields) -> Peer:
    numbers = fields.numbers()
    return Peer(numbers.get("score", math.nan), numbers.get("risk", math.nan), fields.get("wire_bytes_down", 0))


def _target_state(fields: Fields) -> TargetState:
    baselines = fields.child("baselines")
    return TargetState(
        rounds=[_round_state(Fields(entry, where=where)) for where, entry in _entries(fields)],
        baselines={name: baselines.child(name).numbers() for name in baselines.values},
        finetuned=fields.get("finetuned", ""),
    )


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
