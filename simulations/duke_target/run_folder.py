"""The run's folder of this experiment: models for a resumed run, and the results in the schema of `fedretina.runs`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from safetensors.numpy import load_file, save_file

from fedretina import runs
from fedretina.atomic import replacing
from fedretina.errors import Corrupt, translate_errors
from fedretina.flower import sealed_digest
from fedretina.ledger import Row, totals
from fedretina.runs import Peer, Result, Round, RoundState, State, Summary, Target, TargetState, totals_of_round
from fedretina.strategies import RoundResult, RunResult, TargetResult


class RunFolder(runs.RunFolder):
    """Writes the files of one run, and reads those that a resumed run needs."""

    def begin(self, config: Mapping[str, Any], run: str = "") -> None:
        """Write the run's name, then the files of every run's folder."""
        self.save(run, RunResult())
        super().begin(config)

    def save(self, run: str, result: RunResult) -> None:
        """Write what a resumed run needs: the results so far, and the last version of every stream.

        Of sealed streams it writes the digests: the server cannot read the models, and their payloads are in `streams`.
        """
        digests = {stream: sealed_digest(record) for stream, record in result.models.items()}
        sealed = {stream: digest for stream, digest in digests.items() if digest is not None}
        readable = {stream: record for stream, record in result.models.items() if stream not in sealed}
        for stream, record in readable.items():
            file = self._model_file(stream)
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file, private=True) as fresh:
                save_file({name: array.numpy() for name, array in record.items()}, fresh)
        targets = {name: _target_state(target) for name, target in result.targets.items()}
        self.write_state(State(run=run, targets=targets, models=sorted(readable), sealed=sealed))

    def read(self) -> tuple[str, RunResult]:
        """Read what `save` wrote: the run's name and its results so far, without the models of sealed streams."""
        state = runs.read_state(self.path)
        result = RunResult({name: _target_result(target) for name, target in state.targets.items()})
        for stream in state.models:
            arrays = self._arrays(stream)
            result.models[stream] = ArrayRecord({name: Array(value) for name, value in arrays.items()})
        return state.run, result

    def sealed_streams(self) -> list[str]:
        """Return the sealed streams that `save` wrote."""
        return list(runs.read_state(self.path).sealed)

    def _arrays(self, stream: str) -> dict[str, np.ndarray]:
        """Read a stream's last version; `Corrupt` if the file is missing or damaged."""
        if any(not part or part.startswith(".") or "\\" in part for part in stream.split("/")):
            raise Corrupt(f"{self.state}: models names {stream!r}, which is no stream's name; restore the file")
        file = self._model_file(stream)
        with translate_errors(Corrupt, f"the model {file} cannot be read", "restore it, or start a new run"):
            return load_file(file)

    def _model_file(self, stream: str) -> Path:
        return self.path / "models" / f"{stream}.safetensors"


def _target_state(result: TargetResult) -> TargetState:
    rounds = [RoundState(**asdict(entry)) for entry in result.rounds]
    return TargetState(rounds=rounds, baselines=result.baselines, finetuned=result.finetuned)


def _target_result(state: TargetState) -> TargetResult:
    rounds = [RoundResult(**asdict(entry)) for entry in state.rounds]
    return TargetResult(rounds, {name: dict(metrics) for name, metrics in state.baselines.items()}, state.finetuned)


def summarise(config: Mapping[str, Any], result: RunResult, rows: Iterable[Row], *, status: str, error: str = "") -> Summary:
    """Make the summary of a run. Everything in it follows from the seed, so two equal runs have equal summaries."""
    rows = list(rows)
    return Summary(
        status=status,
        error=error,
        targets={name: _target(name, result.targets.get(name, TargetResult()), rows) for name in _names(config["targets"])},
        sources=_names(config["sources"]),
        seed=config["seed"],
        data=config["data-root"] or "embedded",
        model=config["model"],
        totals=totals(rows),
        rounds=[Round(n, {}, {}, totals_of_round(rows, n)) for n in range(1, result.last_round + 1)],
    )


def round_of(target: str, entry: RoundResult, rows: Iterable[Row]) -> Round:
    """Make a target's round of the summary; the bytes of the first round include the messages before it."""
    rows = list(rows)
    return Round(
        number=entry.round,
        metrics=entry.metrics,
        alpha=entry.alpha,
        totals=totals_of_round(rows, entry.round),
        peers={source: _peer(target, source, entry, rows) for source in entry.peers},
        bound=entry.bound,
        committee=entry.committee,
    )


def _names(given: object) -> list[str]:
    """Split comma-separated names; in a failed run the value may be anything."""
    return [name.strip() for name in str(given).split(",") if name.strip()]


def _target(name: str, found: TargetResult, rows: list[Row]) -> Target:
    results = {
        key: Result(key, metrics, found.finetuned if key == "finetune" else "") for key, metrics in found.baselines.items()
    }
    last = found.rounds[-1] if found.rounds else None
    if last:
        results["reuse"] = Result("reuse", last.metrics)
    rounds = [round_of(name, entry, rows) for entry in found.rounds]
    return Target(results=results, alpha=last.alpha if last else {}, rounds=rounds)


def _peer(target: str, source: str, entry: RoundResult, rows: Iterable[Row]) -> Peer:
    """Collect the score, the risk and the bytes of a peer's version on its way to the target's node.

    A version that goes to a node with several targets counts for each of them.
    """
    sent = (row for row in rows if (row.round, row.stream, row.direction) == (entry.round, source, "down"))
    wire_bytes = sum(row.wire_bytes for row in sent if target in row.domain.split(","))
    return Peer(score=entry.peers[source]["score"], risk=entry.peers[source]["risk"], sent=wire_bytes)
