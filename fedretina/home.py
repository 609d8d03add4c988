"""The user's folder: what FedRetina keeps between runs, where it lies and how much it takes.

`FEDRETINA_HOME` says where (default `~/.fedretina`). Everything but the runs and the studies is a cache: made again when
needed, except that a run which is under way, or was interrupted, cannot go on without what its nodes keep.
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
    """What a folder holds: `entries` (files and folders directly in it), `size` (bytes of all files below)."""

    entries: int
    size: int


def home() -> Path:
    """Return the user's folder, absolute: `$FEDRETINA_HOME`, or `~/.fedretina` where that is unset."""
    return Path(os.environ.get("FEDRETINA_HOME") or "~/.fedretina").expanduser().absolute()


def renderings() -> Path:
    """Return the folder of rendered data sets, made if missing."""
    return folder("renderings")


def decoded() -> Path:
    """Return the folder of decoded pictures, made if missing."""
    return folder("decoded")


def references() -> Path:
    """Return the folder of the models that deltas build on, made if missing."""
    return folder("references")


def nodes() -> Path:
    """Return the folder of what nodes keep between messages, made if missing."""
    return folder("nodes")


def runs() -> Path:
    """Return the folder of the runs, made if missing."""
    return folder("runs")


def studies() -> Path:
    """Return the folder of the studies' results, made if missing."""
    return folder("studies")


def folder(name: str) -> Path:
    """Return the folder of that name in the user's folder, made if missing.

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
        raise BadArgument(f"{name!r} is no folder of {home()}: choose among {', '.join(FOLDERS)}")
    path = home() / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise BadArgument(f"cannot make {path} ({reason}): set FEDRETINA_HOME to a folder to write in") from error
    return path


def usage(path: Path) -> Usage:
    """Measure a folder. Links count as themselves, and what vanishes meanwhile as nothing.

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
    """Delete what lies in the folder of that name, and say how much that was.

    A link is deleted, never what it leads to.

    Raises
    ------
    BadArgument
        If there is no such folder, if it is itself a link out of the user's folder, or if something in it
        cannot be deleted.
    """
    path = folder(name)
    if not path.resolve().is_relative_to(home().resolve()):
        raise BadArgument(f"{path} leads out of {home()}, to {path.resolve()}: nothing deleted, clear that by hand")
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
