"""The store of results for studies and benchmarks: stored results are read instead of measured again."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedretina.atomic import write_text
from fedretina.errors import Corrupt
from fedretina.json_files import parse_json

_log = logging.getLogger("fedretina.study")


@dataclass(frozen=True)
class Entry:
    """One stored result.

    Parameters
    ----------
    name : str
        Name of the result and of its file.
    key : str
        Identifies everything that the result depends on.
    value : JSON value
        The result.
    notes : dict
        Further JSON values, for people who open the file.
    """

    name: str
    key: str
    value: Any
    notes: dict[str, Any]


@dataclass(frozen=True)
class Results:
    """A folder of results, one JSON file each: ``{"key": ..., notes, "value": ...}``. Files are written atomically.

    A result is measured again if its file is missing or damaged, or if its key has changed.

    Parameters
    ----------
    folder : Path
        The folder; it is created with the first result.

    Examples
    --------
    >>> import tempfile
    >>> results = Results(Path(tempfile.mkdtemp()))
    >>> results.measured("rates", lambda: [1.5], key="code 1")
    [1.5]
    >>> results.measured("rates", lambda: [2.5], key="code 1")
    [1.5]
    >>> results.measured("rates", lambda: [2.5], key="code 2")
    [2.5]
    """

    folder: Path

    def measured(self, name: str, measure: Callable[[], Any], *, key: str = "") -> Any:
        """Return the stored result with this name and key. If there is none, measure and store it."""
        entry = self.entry(name)
        if entry is None or entry.key != key:
            self.put(name, measure(), key=key)
            entry = self.entry(name)
        assert entry is not None
        return entry.value

    def entry(self, name: str) -> Entry | None:
        """Read the result with this name; None if there is none, or if its file is damaged, which is logged."""
        file = self._file(name)
        try:
            found = parse_json(file.read_bytes())
            notes = {key: value for key, value in found.items() if key not in ("key", "value")}
            return Entry(name, found["key"], found["value"], notes)
        except FileNotFoundError:
            return None
        except (OSError, Corrupt, KeyError, TypeError, AttributeError):
            _log.warning("%s is damaged: the result is measured again", file)
            return None

    def put(self, name: str, value: Any, *, key: str = "", **notes: Any) -> None:
        """Store a result; it replaces an earlier result with this name."""
        file = self._file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps({"key": key, **notes, "value": value}, indent=1) + "\n")

    def entries(self, pattern: str = "*") -> Iterator[Entry]:
        """Read all results whose names match a pattern, in the order of names; damaged ones are left out."""
        for file in sorted(self.folder.glob(f"{pattern}.json")):
            if (entry := self.entry(file.stem)) is not None:
                yield entry

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def code_digest(paths: Iterable[Path], *, without: Iterable[str] = ()) -> str:
    """Hash the code that results depend on.

    Parameters
    ----------
    paths : iterable of Path
        Files, and folders with all their .py files.
    without : iterable of str
        Names of files that do not affect results.

    Returns
    -------
    str
        SHA-256, in hexadecimal digits.
    """
    digest, left_out = hashlib.sha256(), set(without)
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if file.name not in left_out:
                digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
