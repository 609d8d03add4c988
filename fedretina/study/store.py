"""What is kept of a study: finished cells and trained sources, so that an interrupted one goes on."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedretina.atomic import replacing
from fedretina.errors import BadArgument, Corrupt, translate_errors
from fedretina.study.results import Results
from fedretina.study.setting import Setting

_log = logging.getLogger("fedretina.study")
LARGEST = 1e300
"""No number of a cell is larger."""
Numbers = dict[str, float]
Arrays = Mapping[str, NDArray[np.generic]]


class Store:
    """A folder of results by their settings. What is written is whole or not there.

    Parameters
    ----------
    folder : Path
        Made if missing.

    Raises
    ------
    BadArgument
        If it cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()))
    >>> setting = Setting(method="alone", target="duke", sources=("cuhk03",))
    >>> store.numbers(setting) is None
    True
    >>> store.keep(setting, {"mAP": 31.5})
    >>> store.numbers(setting)
    {'mAP': 31.5}
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        try:
            for name in ("cells", "models"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadArgument(f"--out {folder}: cannot make that folder ({error.strerror}): give another") from error

    def numbers(self, setting: Setting) -> Numbers | None:
        """Read what a cell gave; None if it is not finished, or its file is damaged."""
        entry = self._cells.entry(_name(setting))
        if entry is None or entry.key != setting.key:
            return None
        if not _is_numbers(entry.value):
            _log.warning("%s holds no numbers by name: that cell is measured again", entry.name)
            return None
        return dict(entry.value)

    def keep(self, setting: Setting, numbers: Numbers) -> None:
        """Keep what a cell gave, with its setting, for people who look into the folder."""
        self._cells.put(_name(setting), numbers, key=setting.key, setting=asdict(setting))

    def arrays(self, key: str) -> Arrays | None:
        """Read a kept model; None if there is none, or if its file is damaged: the log then names the file."""
        file = self.folder / "models" / f"{key}.npz"
        if not file.exists():
            return None
        try:
            with translate_errors(Corrupt, f"{file} is damaged", "that model is trained again"), np.load(file) as found:
                return {name: found[name] for name in found.files}
        except Corrupt as error:
            _log.warning("%s", error)
            return None

    def keep_arrays(self, key: str, arrays: Arrays) -> None:
        """Keep a model's arrays."""
        file = self.folder / "models" / f"{key}.npz"
        with replacing(file) as fresh, fresh.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes a name for allow_pickle

    @property
    def _cells(self) -> Results:
        return Results(self.folder / "cells")


def _is_numbers(value: object) -> bool:
    """Say whether a cell's value is what `keep` was given: numbers by name."""
    return isinstance(value, dict) and all(_is_number(number) for number in value.values())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) > LARGEST


def _name(setting: Setting) -> str:
    return f"{setting.method}-{setting.key}"
