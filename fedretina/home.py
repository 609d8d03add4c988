"""The user's folder: the files that FedRetina keeps between runs, and their size.

The variable `FEDRETINA_HOME` names the folder (default `~/.fedretina`). All files but runs and studies are caches: they are
made again when needed. But a run that is under way, or was interrupted, needs the files of its nodes to go on.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fedretina.errors import BadArgument

CACHES = ("renderings", "decoded", "references", "nodes")
FOLDERS = (*CACHES, "runs", "studies")


@dataclass(frozen=True)
class Usage:
    """The contents of a folder: `entries` (files and folders directly in it), `size` (bytes of all files below it)."""

    entries: int
    size: int


def home() -> Path:
    """Return the user's folder as an absolute path: `$FEDRETINA_HOME`, or `~/.fedretina` if that is not set."""
    return Path(os.environ.get("FEDRETINA_HOME") or "~/.fedretina").expanduser().absolute()


def renderings() -> Path:
    """Return the folder of rendered data sets, made if missing."""
    return folder("renderings")


def decoded() -> Path:
    """Return the folder of decoded images, made if missing."""
    return folder("decoded")


def references() -> Path:
    """Return the folder of the models that deltas build on, made if missing."""
    return folder("references")


def nodes() -> Path:
    """Return the folder of the nodes' checkpoints, made if missing."""
    return folder("nodes")


def runs() -> Path:
    """Return the folder of the runs, made if missing."""
    return folder("runs")


def studies() -> Path:
    """Return the folder of the studies' results, made if missing."""
    return folder("studies")


def folder(name: str) -> Path:
    """Return a folder in the user's folder, made if missing.

    Parameters
    ----------
    name : str
        One of `FOLDERS`.

    Raises
    ------
    BadArgument
        If there is no such folder, or it cannot be made (the message names `FEDRETINA_HOME`).
    """
    if name not in FOLDERS:
        raise BadArgument(f"{name!r} is not a folder of {home()}: choose one of {', '.join(FOLDERS)}")
    path = home() / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise BadArgument(f"cannot make {path} ({reason}): set FEDRETINA_HOME to a folder that you may write in") from error
    return path


def usage(path: Path) -> Usage:
    """Return the number of entries and the size of a folder. Links are not followed; files that vanish meanwhile count 0.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     _ = (Path(name) / "a.bin").write_bytes(bytes(10))
    ...     usage(Path(name))
    Usage(entries=1, size=10)
    """
    children = list(path.iterdir())
    return Usage(entries=len(children), size=sum(size for child in children for size in _sizes(child)))


def clear(name: str) -> Usage:
    """Delete the contents of a folder, and return how much that was. Links are deleted, not followed.

    Raises
    ------
    BadArgument
        If there is no such folder, if it is a link out of the user's folder, or if a file in it cannot be deleted.
    """
    path = folder(name)
    if not path.resolve().is_relative_to(home().resolve()):
        raise BadArgument(f"{path} leads out of {home()}, to {path.resolve()}: nothing was deleted; clear it by hand")
    freed = usage(path)
    for child in path.iterdir():
        try:
            _delete(child)
        except OSError as error:
            raise BadArgument(f"cannot delete {child} ({error.strerror or error}): delete it by hand") from error
    return freed


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sizes(path: Path) -> Iterator[int]:
    try:
        if path.is_dir() and not path.is_symlink():
            for child in path.iterdir():
                yield from _sizes(child)
        else:
            yield path.lstat().st_size
    except FileNotFoundError:
        return
