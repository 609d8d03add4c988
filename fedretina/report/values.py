"""The numbers of a run's rounds by name: for a CSV file, for TensorBoard, and for loggers shaped like wandb."""

import csv
import importlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from fedretina.atomic import write_text
from fedretina.errors import BadArgument
from fedretina.runs import Round, Run, load

_HEAD = ("run", "target", "round")


def round_values(entry: Round, *, target: str = "") -> dict[str, float]:
    """Return the numbers of a round by name; a target's name comes first.

    Examples
    --------
    >>> from fedretina.runs import Totals
    >>> round_values(Round(1, {"mAP": 50.0}, {"cuhk03": 1.0}, Totals(10, 20, 1, 2)), target="duke")
    {'duke/mAP': 50.0, 'duke/alpha/cuhk03': 1.0, 'wire_bytes_down': 1, 'wire_bytes_up': 2, 'raw_bytes': 30}
    """
    own = {**entry.metrics, **{f"alpha/{source}": weight for source, weight in entry.alpha.items()}}
    own |= {f"committee/{name}": value for name, value in entry.committee.items()}
    totals = entry.totals
    sent = {"wire_bytes_down": totals.wire_down, "wire_bytes_up": totals.wire_up, "raw_bytes": totals.raw}
    return {**{f"{target}/{name}" if target else name: value for name, value in own.items()}, **sent}


def write_csv(folders: Sequence[Path], file: Path) -> None:
    """Write a row for each run, target and round; a number that a round lacks is an empty cell.

    Raises
    ------
    BadArgument
        If a folder is no run, or the file cannot be written.
    """
    rows = [row for folder in folders for row in _rows(load(folder))]
    names = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names) or list(_HEAD), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    try:
        write_text(file, text.getvalue())
    except OSError as error:
        raise BadArgument(f"cannot write {file} ({error.strerror or error}): name a file in a folder that exists") from error


def write_tensorboard(folder: Path, logs: Path) -> None:
    """Write the rounds of a run as scalars for TensorBoard, into a folder with the run's name.

    Raises
    ------
    BadArgument
        If the package `tensorboard` is not installed, or the folder is no run.
    """
    run = load(folder)
    writer = _module("tensorboard.summary").Writer(str(logs / run.folder.name))
    for history in run.histories:
        for entry in history.rounds:
            for name, value in round_values(entry, target=history.target).items():
                writer.add_scalar(name, value, entry.number)
    writer.close()


class RoundLogger(Protocol):
    """What a module such as wandb or trackio offers."""

    def log(self, values: Mapping[str, float], step: int) -> Any:
        """Take the numbers of a round."""
        ...

    def finish(self) -> Any:
        """End."""
        ...


def start_logger(module: str, *, name: str, config: Mapping[str, Any]) -> RoundLogger:
    """Start a run in a logger that is shaped like wandb: a module with ``init``, ``log`` and ``finish``.

    Parameters
    ----------
    module : str
        The module: "trackio", "wandb", or another one with these functions.
    name : str
        Name of the run there; the project is "fedretina".
    config : mapping
        The run's configuration.

    Raises
    ------
    BadArgument
        If the module is not installed.
    """
    logger = _module(module)
    logger.init(project="fedretina", name=name, config=dict(config))
    found: RoundLogger = logger
    return found


def _rows(run: Run) -> Iterator[dict[str, Any]]:
    for history in run.histories:
        for entry in history.rounds:
            yield {"run": run.folder.name, "target": history.target, "round": entry.number} | round_values(entry)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise BadArgument(f"the package {package!r} is not installed ({error}): pip install {package}") from error
