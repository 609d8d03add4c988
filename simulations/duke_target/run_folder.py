"""The run's folder: what is written while a run goes on, and read again when one is resumed."""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flwr.app import Array, ArrayRecord
from safetensors.numpy import load_file, save_file

from fedretina import home
from fedretina.errors import BadArgument
from fedretina.ledger import Row, totals
from fedretina.strategies.peer_reuse import RoundResult, RunResult

PACKAGES = ("fedretina", "flwr", "ray", "torch", "torchvision", "numpy", "pcodec", "msgpack", "blake3")
KEPT = "config.json"


class RunFolder:
    """Writes the files of one run; never removes a file that it did not write.

    Parameters
    ----------
    path : Path
        The folder, made if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.path.mkdir(parents=True, exist_ok=True)

    @classmethod
    def open(cls, out: str, resume: str) -> "RunFolder":
        """Choose the folder: that of the run to resume, the one that was asked for, or a new one."""
        if resume:
            path = _absolute("resume", resume)
            if not (path / KEPT).is_file():
                raise BadArgument(f"resume = {resume!r}: there is no {KEPT} of a run in that folder")
            return cls(path)
        if not out:
            return cls(_new(home.runs(), datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")))
        path = _absolute("out", out)
        if (path / KEPT).exists():
            raise BadArgument(f"out = {out!r}: that folder holds a run already; give another, or resume it")
        if path.exists() and not path.is_dir():
            raise BadArgument(f"out = {out!r}: that is no folder")
        return cls(path)

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.path / "ledger.jsonl"

    @property
    def streams(self) -> Path:
        """Where the payloads of the streams are kept."""
        return self.path / "streams"

    def write(self, name: str, value: object) -> None:
        """Write a JSON file, atomically."""
        part = self.path / f".{name}.part"
        part.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        part.replace(self.path / name)

    def read(self, name: str) -> Any:
        """Read a JSON file; None if there is none."""
        file = self.path / name
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def begin(self, config: Mapping[str, Any], run: str) -> None:
        """Note the run's name, the packages, and last, since it makes the folder a run's, the configuration."""
        self.keep(run, RunResult())
        self.write("versions.json", {name: version(name) for name in PACKAGES})
        self.write(KEPT, dict(config))

    def keep(self, run: str, result: RunResult) -> None:
        """Keep what a resumed run needs: results so far, and every domain's last version."""
        models = self.path / "models"
        models.mkdir(exist_ok=True)
        for domain, record in result.models.items():
            part = models / f".{domain}.part"
            save_file({name: array.numpy() for name, array in record.items()}, part)
            part.replace(models / f"{domain}.safetensors")
        rounds = [asdict(entry) for entry in result.rounds]
        rest = {"yardsticks": result.yardsticks, "finetuned": result.finetuned}
        self.write("state.json", {"run": run, "rounds": rounds, "models": sorted(result.models), **rest})

    def kept(self) -> tuple[str, RunResult]:
        """Read what `keep` wrote: the run's name and its results so far."""
        state = self.read("state.json")
        result = RunResult([RoundResult(**entry) for entry in state["rounds"]], state["yardsticks"], state["finetuned"])
        for domain in state["models"]:
            arrays = load_file(self.path / "models" / f"{domain}.safetensors")
            result.models[domain] = ArrayRecord({name: Array(value) for name, value in arrays.items()})
        return str(state["run"]), result

    def show(self, showcase: Iterable[Mapping[str, Any]]) -> None:
        """Copy the pictures of the ranking into the folder, so that the page can be made again later."""
        folder = self.path / "ranking"
        folder.mkdir(exist_ok=True)
        told = []
        for i, shown in enumerate(showcase):
            query = _copied(shown["query"], folder, f"q{i}")
            gallery = [_copied(photo, folder, f"q{i}-{k:02d}") for k, photo in enumerate(shown["gallery"])]
            told.append({"query": query, "gallery": gallery})
        if told:
            self.write("ranking.json", told)


def summarise(
    config: Mapping[str, Any], result: RunResult, rows: Iterable[Row], *, status: str, error: str = ""
) -> dict[str, Any]:
    """Make the summary of a run: everything in it follows from the seed, so two equal runs have equal summaries."""
    rows = list(rows)
    summary: dict[str, Any] = {"status": status, **({"error": error} if error else {})}
    summary |= {"target": config["target"], "sources": [s.strip() for s in config["sources"].split(",")]}
    summary |= {"seed": config["seed"], "data": config["data-root"] or "embedded", "model": config["model"]}
    names = {"alone": "baseline", "finetune": "finetune", "full": "full"}
    summary |= {shown: dict(result.yardsticks[name]) for name, shown in names.items() if name in result.yardsticks}
    if "finetune" in summary:
        summary["finetune"]["source"] = result.finetuned
    if result.rounds:
        summary |= {"reuse": result.rounds[-1].metrics, "alpha": result.rounds[-1].alpha}
    summary |= _bytes(rows)
    summary["rounds"] = [round_entry(entry, rows) for entry in result.rounds]
    return summary


def round_entry(entry: RoundResult, rows: Iterable[Row]) -> dict[str, Any]:
    """Make a round's entry of the summary; the first round's bytes include what was said before it."""
    own = [row for row in rows if row.round == entry.round or (row.round == 0 and entry.round == 1)]
    committee = {"committee": entry.committee} if entry.committee else {}
    return {"round": entry.round, **entry.metrics, "alpha": entry.alpha, **committee, **_bytes(own)}


def _bytes(rows: list[Row]) -> dict[str, int]:
    sums = totals(rows)
    return {f"{kind}_bytes_{way}": getattr(sums, f"{kind}_{way}") for kind in ("raw", "wire") for way in ("down", "up")}


def _copied(photo: Mapping[str, Any], folder: Path, name: str) -> dict[str, Any]:
    source = Path(photo["picture"])
    copy = folder / f"{name}{source.suffix.lower()}"
    shutil.copyfile(source, copy)
    return {**photo, "picture": f"{folder.name}/{copy.name}"}


def _absolute(key: str, given: str) -> Path:
    path = Path(given).expanduser()
    if not path.is_absolute():
        raise BadArgument(f"{key} = {given!r}: give an absolute path; the app does not run in your folder")
    return path


def _new(parent: Path, name: str) -> Path:
    for number in range(1, 1000):
        path = parent / (name if number == 1 else f"{name}_{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise BadArgument(f"{parent} holds a thousand runs of this second already")
