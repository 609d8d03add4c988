"""Write a run's folder while the run goes on."""

import json
import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from fedretina import home
from fedretina.atomic import write_text
from fedretina.errors import BadArgument, translate_errors
from fedretina.runs.schema import CONFIG, LEDGER, RANKING, STATE, SUMMARY, VERSIONS, State, Summary

PACKAGES = ("fedretina", "flwr", "ray", "torch", "torchvision", "numpy", "pcodec", "msgpack", "blake3")


class RunFolder:
    """Writes the files of one run; never removes a file that it did not write.

    Parameters
    ----------
    path : Path
        The folder, made if missing.

    Examples
    --------
    >>> import tempfile
    >>> from fedretina.runs import read_config
    >>> folder = RunFolder.open(tempfile.mkdtemp(), "")
    >>> folder.begin({"seed": 3})
    >>> read_config(folder.path).values
    {'seed': 3}
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        with translate_errors(BadArgument, f"the run's folder {self.path} cannot be made", "give another folder"):
            self.path.mkdir(parents=True, exist_ok=True)

    @classmethod
    def open(cls, out: str, resume: str) -> Self:
        """Choose the folder: that of the run to resume, the one that was asked for, or a new one.

        Raises
        ------
        BadArgument
            If a path is not absolute, if `resume` is no run's folder, if `out` is no folder or holds a run already.
        """
        if resume:
            path = _absolute("resume", resume)
            if not (path / CONFIG).is_file():
                raise BadArgument(f"resume = {resume!r}: there is no {CONFIG} of a run in that folder")
            return cls(path)
        if not out:
            return cls(_new(home.runs(), datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")))
        path = _absolute("out", out)
        if (path / CONFIG).exists():
            raise BadArgument(f"out = {out!r}: that folder holds a run already; give another, or resume it")
        if path.exists() and not path.is_dir():
            raise BadArgument(f"out = {out!r}: that is no folder; give a folder, or a path where none is yet")
        return cls(path)

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.path / LEDGER

    @property
    def streams(self) -> Path:
        """Where the payloads of the streams are kept."""
        return self.path / "streams"

    def begin(self, config: Mapping[str, Any]) -> None:
        """Write the packages' versions, then the configuration: with it the folder is a run's, so it comes last."""
        self._write(VERSIONS, {name: version(name) for name in PACKAGES})
        self._write(CONFIG, dict(config))

    def write_summary(self, summary: Summary) -> None:
        """Write summary.json."""
        self._write(SUMMARY, summary.to_json())

    def write_state(self, state: State) -> None:
        """Write state.json."""
        self._write(STATE, state.to_json())

    def write_rankings(self, rankings: Iterable[Mapping[str, Any]]) -> None:
        """Write ranking.json, and copy its pictures into the folder, so that the page can be made again later.

        Parameters
        ----------
        rankings : iterable of mapping
            As `fedretina.task.Task.showcase` gives them; without any nothing is written.
        """
        folder = self.path / "ranking"
        folder.mkdir(exist_ok=True)
        entries = []
        for number, ranking in enumerate(rankings):
            query = _copy_picture(ranking["query"], folder, f"q{number}")
            gallery = [_copy_picture(shot, folder, f"q{number}-{k:02d}") for k, shot in enumerate(ranking["gallery"])]
            entries.append({"query": query, "gallery": gallery})
        if entries:
            self._write(RANKING, entries)

    def _write(self, name: str, value: object) -> None:
        write_text(self.path / name, json.dumps(value, indent=2) + "\n")


def _copy_picture(shot: Mapping[str, Any], folder: Path, name: str) -> dict[str, Any]:
    source = Path(shot["picture"])
    copy = folder / f"{name}{source.suffix.lower()}"
    shutil.copyfile(source, copy)
    return {**shot, "picture": f"{folder.name}/{copy.name}"}


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
