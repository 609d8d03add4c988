"""The run's folder of this experiment: what a resumed run needs, the pictures of the ranking, the summary."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flwr.app import Array, ArrayRecord
from safetensors.numpy import load_file, save_file

from fedretina import runs
from fedretina.ledger import Row
from fedretina.runs import byte_counts, bytes_of_round
from fedretina.strategies.peer_reuse import RoundResult, RunResult

KEPT = runs.CONFIG


class RunFolder(runs.RunFolder):
    """Writes the files of one run, and reads what a resumed one needs."""

    def begin(self, config: Mapping[str, Any], run: str = "") -> None:
        """Note the run's name, then what every run's folder has."""
        self.keep(run, RunResult())
        super().begin(config)

    def keep(self, run: str, result: RunResult) -> None:
        """Keep what a resumed run needs: results so far, and every domain's last version."""
        models = self.path / "models"
        models.mkdir(exist_ok=True)
        for domain, record in result.models.items():
            part = models / f".{domain}.part"
            save_file({name: array.numpy() for name, array in record.items()}, part)
            part.replace(models / f"{domain}.safetensors")
        rounds = [asdict(entry) for entry in result.rounds]
        rest = {"baselines": result.baselines, "finetuned": result.finetuned}
        self.write("state.json", {"run": run, "rounds": rounds, "models": sorted(result.models), **rest})

    def kept(self) -> tuple[str, RunResult]:
        """Read what `keep` wrote: the run's name and its results so far."""
        state = self.read("state.json")
        result = RunResult([RoundResult(**entry) for entry in state["rounds"]], state["baselines"], state["finetuned"])
        for domain in state["models"]:
            arrays = load_file(self.path / "models" / f"{domain}.safetensors")
            result.models[domain] = ArrayRecord({name: Array(value) for name, value in arrays.items()})
        return str(state["run"]), result

    def show(self, showcase: Iterable[Mapping[str, Any]]) -> None:
        """Copy the pictures of the ranking into the folder, so that the page can be made again later."""
        folder = self.path / "ranking"
        folder.mkdir(exist_ok=True)
        ranking = []
        for i, shown in enumerate(showcase):
            query = _copied(shown["query"], folder, f"q{i}")
            gallery = [_copied(photo, folder, f"q{i}-{k:02d}") for k, photo in enumerate(shown["gallery"])]
            ranking.append({"query": query, "gallery": gallery})
        if ranking:
            self.write("ranking.json", ranking)


def summarise(
    config: Mapping[str, Any], result: RunResult, rows: Iterable[Row], *, status: str, error: str = ""
) -> dict[str, Any]:
    """Make the summary of a run: everything in it follows from the seed, so two equal runs have equal summaries."""
    rows = list(rows)
    summary: dict[str, Any] = {"status": status, **({"error": error} if error else {})}
    summary |= {"target": config["target"], "sources": [s.strip() for s in config["sources"].split(",")]}
    summary |= {"seed": config["seed"], "data": config["data-root"] or "embedded", "model": config["model"]}
    names = {"alone": "baseline", "finetune": "finetune", "full": "full"}
    summary |= {shown: dict(result.baselines[name]) for name, shown in names.items() if name in result.baselines}
    if "finetune" in summary:
        summary["finetune"]["source"] = result.finetuned
    if result.rounds:
        summary |= {"reuse": result.rounds[-1].metrics, "alpha": result.rounds[-1].alpha}
    summary |= byte_counts(rows)
    summary["rounds"] = [round_entry(entry, rows) for entry in result.rounds]
    return summary


def round_entry(entry: RoundResult, rows: Iterable[Row]) -> dict[str, Any]:
    """Make a round's entry of the summary; the first round's bytes include what was said before it."""
    rows = list(rows)
    more: dict[str, Any] = {"committee": entry.committee} if entry.committee else {}
    if entry.peers:
        more |= {"bound": entry.bound, "peers": {name: _peer(entry, name, rows) for name in entry.peers}}
    return {"round": entry.round, **entry.metrics, "alpha": entry.alpha, **more, **bytes_of_round(rows, entry.round)}


def _peer(entry: RoundResult, name: str, rows: Iterable[Row]) -> dict[str, float]:
    """Say what a peer was worth in a round, and what sending its version down to the target cost."""
    sent = (row for row in rows if (row.round, row.stream, row.direction) == (entry.round, name, "down"))
    return {**entry.peers[name], "wire_bytes_down": sum(row.wire_bytes for row in sent)}


def _copied(photo: Mapping[str, Any], folder: Path, name: str) -> dict[str, Any]:
    source = Path(photo["picture"])
    copy = folder / f"{name}{source.suffix.lower()}"
    shutil.copyfile(source, copy)
    return {**photo, "picture": f"{folder.name}/{copy.name}"}
