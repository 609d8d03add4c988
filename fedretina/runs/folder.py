"""Write the folder of a run that is under way."""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from fedretina import home
from fedretina.atomic import write_text
from fedretina.errors import BadArgument, FedRetinaError, translate_errors
from fedretina.runs.documents import read_config
from fedretina.runs.rankings import copy_rankings
from fedretina.runs.schema import CONFIG, LEDGER, RANKING, STATE, SUMMARY, VERSIONS, State, Summary

_log = logging.getLogger("fedretina.runs")
PACKAGES = ("fedretina", "flwr", "ray", "torch", "torchvision", "numpy", "pcodec", "msgpack", "blake3")


class RunFolder:
    """Writes the files of one run. It never removes a file of somebody else.

    Parameters
    ----------
    path : Path
        The folder; made if missing.

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
        """Choose the folder: the one of the run to resume, the given one, or a new one.

        Raises
        ------
        BadArgument
            If a path is not absolute, if `resume` is not a run's folder, or if `out` is not a folder or has a run in it.
        """
        if resume:
            path = _absolute("resume", resume)
            if not (path / CONFIG).is_file():
                raise BadArgument(f"resume = {resume!r}: there is no {CONFIG} of a run in that folder; name a run's folder")
            return cls(path)
        if not out:
            return cls(_new(home.runs(), datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")))
        path = _absolute("out", out)
        if (path / CONFIG).exists():
            raise BadArgument(f"out = {out!r}: that folder holds a run already; give another folder, or resume the run")
        if path.exists() and not path.is_dir():
            raise BadArgument(f"out = {out!r}: that is no folder; give a folder, or a path at which there is nothing")
        return cls(path)

    @property
    def ledger(self) -> Path:
        """The file of the ledger."""
        return self.path / LEDGER

    @property
    def state(self) -> Path:
        """The file of the state, from which a run is resumed."""
        return self.path / STATE

    @property
    def streams(self) -> Path:
        """The folder of the streams' payloads."""
        return self.path / "streams"

    def resumed(self, given: Mapping[str, Any], *, own: Collection[str] = ()) -> tuple[dict[str, Any], list[str]]:
        """Return the configuration with which the run began, and the keys of given values that differ and are not used.

        A key that is newer than the run keeps its given value.

        Parameters
        ----------
        given : mapping
            The app's configuration now; `out` and `resume` may differ.
        own : collection of str, default ()
            Keys that the app has added to the configuration.

        Raises
        ------
        BadArgument
            If the run is one of another app: it has keys that this one does not know, or lacks one of `own`.
        """
        began = dict(read_config(self.path).values)
        if foreign := sorted((began.keys() - {*given, *own}) | (set(own) - began.keys())):
            raise BadArgument(
                f"resume = {str(self.path)!r}: its run is one of another app or release (by {', '.join(foreign)}); "
                "name a run of this app"
            )
        unused = sorted(key for key in began if key in given and key not in ("out", "resume") and began[key] != given[key])
        return {**given, **began, "resume": given["resume"]}, unused

    def begin(self, config: Mapping[str, Any]) -> None:
        """Write the packages' versions, then the configuration. The last file makes the folder a run's."""
        self._write(VERSIONS, {name: version(name) for name in PACKAGES})
        self._write(CONFIG, dict(config))

    def write_summary(self, summary: Summary) -> None:
        """Write summary.json."""
        self._write(SUMMARY, summary.to_json())

    def write_state(self, state: State) -> None:
        """Write state.json."""
        self._write(STATE, state.to_json())

    def write_rankings(self, rankings: Mapping[str, Sequence[object]], *, data: Path) -> None:
        """Write ranking.json, and copy its pictures into the folder, so that the page can be made again later.

        Rankings that are damaged, or that name a file outside of the target's data, are left out with a warning.

        Parameters
        ----------
        rankings : mapping of str to sequence
            By target, as `fedretina.task.Task.showcase` gives them. Without any, nothing is written.
        data : Path
            The server's data: the folder with a folder for each domain. Only pictures in the target's folder are copied.
        """
        found = {target: self._copy(target, shown, data) for target, shown in rankings.items() if shown}
        if any(found.values()):
            self._write(RANKING, {target: entries for target, entries in found.items() if entries})

    def _copy(self, target: str, rankings: Sequence[object], data: Path) -> list[dict[str, Any]]:
        try:
            return copy_rankings(rankings, self.path / "ranking" / target, data=data / target)
        except (FedRetinaError, OSError) as error:
            _log.warning("the rankings of %s are left out: %s", target, error)
            return []

    def _write(self, name: str, value: object) -> None:
        write_text(self.path / name, json.dumps(value, indent=2) + "\n")


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
    raise BadArgument(f"{parent} holds a thousand runs of this second already; start the run again")
