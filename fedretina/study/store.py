"""The store of a study: finished cells and trained sources. An interrupted study continues from it."""

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
"""No metric of a cell is larger."""
Metrics = dict[str, float]
Arrays = Mapping[str, NDArray[np.generic]]


class Store:
    """A folder of metrics by their settings, and of models. Files are written atomically.

    Parameters
    ----------
    folder : Path
        The folder; it is created if missing.

    Raises
    ------
    BadArgument
        The folder cannot be created.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()))
    >>> setting = Setting(method="alone", target="duke", sources=("cuhk03",))
    >>> store.load(setting) is None
    True
    >>> store.save(setting, {"mAP": 31.5})
    >>> store.load(setting)
    {'mAP': 31.5}
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        try:
            for name in ("cells", "models"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadArgument(f"--out {folder}: cannot create this folder ({error.strerror}): give another one") from error

    def load(self, setting: Setting) -> Metrics | None:
        """Read the metrics of a cell; None if it is not stored, or its file is damaged."""
        entry = self._cells.entry(_name(setting))
        if entry is None or entry.key != setting.key:
            return None
        if not _is_numbers(entry.value):
            _log.warning("%s has no numbers by name: that cell is measured again", entry.name)
            return None
        return dict(entry.value)

    def save(self, setting: Setting, metrics: Metrics) -> None:
        """Store the metrics of a cell, with its setting for people who open the file."""
        self._cells.put(_name(setting), metrics, key=setting.key, setting=asdict(setting))

    def load_model(self, key: str) -> Arrays | None:
        """Read a stored model; None if there is none, or if its file is damaged, which is logged."""
        file = self.folder / "models" / f"{key}.npz"
        if not file.exists():
            return None
        try:
            with translate_errors(Corrupt, f"{file} is damaged", "that model is trained again"), file.open("rb") as stream:
                return dict(np.load(stream, allow_pickle=False))
        except Corrupt as error:
            _log.warning("%s", error)
            return None

    def save_model(self, key: str, arrays: Arrays) -> None:
        """Store a model's arrays."""
        file = self.folder / "models" / f"{key}.npz"
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes a name for allow_pickle

    @property
    def _cells(self) -> Results:
        return Results(self.folder / "cells")


def _is_numbers(value: object) -> bool:
    """Tell whether a stored value has numbers by name, as `save` writes them."""
    return isinstance(value, dict) and all(_is_number(number) for number in value.values())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) > LARGEST


def _name(setting: Setting) -> str:
    return f"{setting.method}-{setting.key}"
