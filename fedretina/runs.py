"""A run's folder: what is written while a run goes on; `fedretina.report` reads it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from fedretina import home
from fedretina.atomic import write_text
from fedretina.errors import BadArgument
from fedretina.ledger import Row, totals

PACKAGES = ("fedretina", "flwr", "ray", "torch", "torchvision", "numpy", "pcodec", "msgpack", "blake3")
CONFIG = "config.json"


class RunFolder:
    """Writes the files of one run; never removes a file that it did not write.

    Parameters
    ----------
    path : Path
        The folder, made if missing.

    Examples
    --------
    >>> import tempfile
    >>> folder = RunFolder.open(tempfile.mkdtemp(), "")
    >>> folder.begin({"seed": 3})
    >>> folder.read("config.json")
    {'seed': 3}
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
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
        write_text(self.path / name, json.dumps(value, indent=2) + "\n")

    def read(self, name: str) -> Any:
        """Read a JSON file; None if there is none."""
        file = self.path / name
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def begin(self, config: Mapping[str, Any]) -> None:
        """Note the packages and last, since it makes the folder a run's, the configuration."""
        self.write("versions.json", {name: version(name) for name in PACKAGES})
        self.write(CONFIG, dict(config))


def byte_counts(rows: Iterable[Row]) -> dict[str, int]:
    """Sum up rows as a summary has it: raw and wire bytes, down and up.

    Examples
    --------
    >>> byte_counts([])
    {'raw_bytes_down': 0, 'raw_bytes_up': 0, 'wire_bytes_down': 0, 'wire_bytes_up': 0}
    """
    sums = totals(rows)
    return {f"{kind}_bytes_{way}": getattr(sums, f"{kind}_{way}") for kind in ("raw", "wire") for way in ("down", "up")}


def bytes_of_round(rows: Sequence[Row], number: int) -> dict[str, int]:
    """Sum up one round's rows; the first round's include what was said before it."""
    return byte_counts(row for row in rows if row.round == number or (row.round == 0 and number == 1))


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
