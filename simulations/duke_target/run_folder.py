"""The run's folder of this experiment: the models that a resumed run needs, and its results in the schema of runs."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from safetensors.numpy import load_file, save_file

from fedretina import runs
from fedretina.atomic import replacing
from fedretina.errors import Corrupt, translate_errors
from fedretina.ledger import Row, totals
from fedretina.runs import Peer, Result, Round, RoundState, State, Summary, totals_of_round
from fedretina.strategies.peer_reuse import RoundResult, RunResult

KEYS = {"alone": "baseline", "finetune": "finetune", "full": "full"}
"""The summary's keys for what the strategy compares the target with."""


class RunFolder(runs.RunFolder):
    """Writes the files of one run, and reads what a resumed one needs."""

    def begin(self, config: Mapping[str, Any], run: str = "") -> None:
        """Write the run's name, then what every run's folder has."""
        self.save(run, RunResult())
        super().begin(config)

    def save(self, run: str, result: RunResult) -> None:
        """Write what a resumed run needs: results so far, and every domain's last version."""
        models = self.path / "models"
        models.mkdir(exist_ok=True)
        for domain, record in result.models.items():
            with replacing(models / f"{domain}.safetensors", private=True) as fresh:
                save_file({name: array.numpy() for name, array in record.items()}, fresh)
        self.write_state(
            State(
                run=run,
                rounds=[RoundState(**asdict(entry)) for entry in result.rounds],
                models=sorted(result.models),
                baselines=result.baselines,
                finetuned=result.finetuned,
            )
        )

    def read(self) -> tuple[str, RunResult]:
        """Read what `save` wrote: the run's name and its results so far."""
        state = runs.read_state(self.path)
        rounds = [RoundResult(**asdict(entry)) for entry in state.rounds]
        result = RunResult(rounds, {name: dict(metrics) for name, metrics in state.baselines.items()}, state.finetuned)
        for domain in state.models:
            arrays = self._arrays(domain)
            result.models[domain] = ArrayRecord({name: Array(value) for name, value in arrays.items()})
        return state.run, result

    def _arrays(self, domain: str) -> dict[str, np.ndarray]:
        """Read a domain's last version; `Corrupt` if it is not there, or damaged."""
        if domain.startswith(".") or set(domain) & set("/\\"):
            raise Corrupt(
                f"{self.path / 'state.json'}: models names {domain!r}, which is no folder's name: restore that file"
            )
        file = self.path / "models" / f"{domain}.safetensors"
        with translate_errors(Corrupt, f"the model {file} cannot be read", "restore it, or start a new run"):
            return load_file(file)


def summarise(config: Mapping[str, Any], result: RunResult, rows: Iterable[Row], *, status: str, error: str = "") -> Summary:
    """Make the summary of a run: everything in it follows from the seed, so two equal runs have equal summaries."""
    rows, last = list(rows), result.rounds[-1] if result.rounds else None
    results = {key: Result(key, result.baselines[name]) for name, key in KEYS.items() if name in result.baselines}
    if "finetune" in results:
        results["finetune"] = Result("finetune", result.baselines["finetune"], result.finetuned)
    if last:
        results["reuse"] = Result("reuse", last.metrics)
    return Summary(
        status=status,
        error=error,
        target=config["target"],
        sources=[source.strip() for source in config["sources"].split(",")],
        seed=config["seed"],
        data=config["data-root"] or "embedded",
        model=config["model"],
        results=results,
        alpha=last.alpha if last else {},
        totals=totals(rows),
        rounds=[round_of(entry, rows) for entry in result.rounds],
    )


def round_of(entry: RoundResult, rows: Iterable[Row]) -> Round:
    """Make a round of the summary; the first round's bytes include what was sent before it."""
    rows = list(rows)
    return Round(
        number=entry.round,
        metrics=entry.metrics,
        alpha=entry.alpha,
        totals=totals_of_round(rows, entry.round),
        peers={name: _peer(entry, name, rows) for name in entry.peers},
        bound=entry.bound,
        committee=entry.committee,
    )


def _peer(entry: RoundResult, name: str, rows: Iterable[Row]) -> Peer:
    """Say what a peer was worth in a round, and what sending its version down to the target cost."""
    sent = (row.wire_bytes for row in rows if (row.round, row.stream, row.direction) == (entry.round, name, "down"))
    return Peer(score=entry.peers[name]["score"], risk=entry.peers[name]["risk"], sent=sum(sent))
