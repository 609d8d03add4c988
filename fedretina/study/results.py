"""The store of results, for studies and benchmarks: what was measured is read, not measured again."""

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
    """One stored result: its name, the key of what it follows from, its value, and notes for people who open the file."""

    name: str
    key: str
    value: Any
    notes: dict[str, Any]


@dataclass(frozen=True)
class Results:
    """A folder of results, one JSON file each: ``{"key": ..., notes, "value": ...}``, whole or not there.

    A result is measured again if its file is missing or damaged, or if its key has changed.

    Parameters
    ----------
    folder : Path
        Made when the first result is written.

    Examples
    --------
    >>> import tempfile
    >>> results = Results(Path(tempfile.mkdtemp()))
    >>> results.measured("rates", lambda: [1.5], key="code 1")
    [1.5]
    >>> results.measured("rates", lambda: [2.5], key="code 1"), results.measured("rates", lambda: [2.5], key="code 2")
    ([1.5], [2.5])
    """

    folder: Path

    def measured(self, name: str, measure: Callable[[], Any], *, key: str = "") -> Any:
        """Return the stored result of that name and key; measure and store it if there is none."""
        entry = self.entry(name)
        if entry is None or entry.key != key:
            self.put(name, measure(), key=key)
            entry = self.entry(name)
        assert entry is not None
        return entry.value

    def entry(self, name: str) -> Entry | None:
        """Read what is stored under a name; None if nothing is, or if the file is damaged: the log then names the file."""
        file = self._file(name)
        try:
            found = parse_json(file.read_bytes())
            notes = {key: value for key, value in found.items() if key not in ("key", "value")}
            return Entry(name, found["key"], found["value"], notes)
        except FileNotFoundError:
            return None
        except (OSError, Corrupt, KeyError, TypeError, AttributeError):
            _log.warning("%s is damaged: that result is measured again", file)
            return None

    def put(self, name: str, value: Any, *, key: str = "", **notes: Any) -> None:
        """Store a result, instead of what was stored under the name."""
        file = self._file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps({"key": key, **notes, "value": value}, indent=1) + "\n")

    def entries(self, pattern: str = "*") -> Iterator[Entry]:
        """Read all results whose name matches a pattern, by name; damaged ones are left out."""
        for file in sorted(self.folder.glob(f"{pattern}.json")):
            if (entry := self.entry(file.stem)) is not None:
                yield entry

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def code_digest(paths: Iterable[Path], *, without: Iterable[str] = ()) -> str:
    """Hash the code that results follow from: modules, and packages with all that is in them.

    Parameters
    ----------
    paths : iterable of Path
        Files, or folders of which every .py file counts.
    without : iterable of str
        Names of files that change no result.
    """
    digest, left_out = hashlib.sha256(), set(without)
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if file.name not in left_out:
                digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
