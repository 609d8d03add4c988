"""Write files so that a reader sees the whole file or none: the one atomic writer of the project."""

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".tmp"
"""Suffix of the names of unfinished files."""
_ABANDONED_S = 3600  # seconds


@contextmanager
def replacing(path: Path, *, durable: bool = False, private: bool = False) -> Iterator[Path]:
    """Yield the path of a new file in the same folder; the file replaces `path` when the block ends without an error.

    After an error the new file is removed, and `path` does not change. A link at `path` is replaced, not followed.

    Parameters
    ----------
    path : Path
        The file to write. Its folder must exist.
    durable : bool, default False
        Whether the bytes are flushed to the disk before the rename, so that a power cut cannot leave an empty file.
    private : bool, default False
        Whether only the owner may read the file. Otherwise it gets the old file's permissions, or the user's default.

    Raises
    ------
    OSError
        If the system cannot write: no space, no permission.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "words.txt"
    >>> with replacing(path) as new:
    ...     _ = new.write_text("whole")
    >>> path.read_text()
    'whole'
    """
    new = path.with_name(f".fedretina-{secrets.token_hex(4)}{SUFFIX}")
    new.touch(0o600 if private else 0o666, exist_ok=False)
    try:
        mode = 0o600 if private else _permissions(path, default=_permissions(new))
        yield new
        if durable:
            _flush(new)
        new.chmod(mode)  # safetensors makes files that only their owner may read
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, *, durable: bool = False, private: bool = False) -> None:
    """Write a file as a whole; parameters and errors as for `replacing`."""
    with replacing(path, durable=durable, private=private) as new:
        new.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) as a whole; errors as for `replacing`."""
    write_bytes(path, text.encode())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file while the block reads it, changes it and writes it back; other processes wait.

    The lock is a file of its own beside it, because a new file replaces `path`. The system ends the lock of a process that
    was killed.

    Parameters
    ----------
    path : Path
        The file. Its folder must exist.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "count.txt"
    >>> with locked(path):
    ...     write_text(path, "1")
    >>> sorted(file.name for file in path.parent.iterdir())
    ['count.txt', 'count.txt.lock']
    """
    with path.with_name(f"{path.name}.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_abandoned(folder: Path) -> None:
    """Remove unfinished files that are older than an hour: the processes that wrote them were killed."""
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()


def _permissions(path: Path, *, default: int = 0o666) -> int:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return default
    return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else default


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
