"""Write the files that a user names: checked before the work, whole or not at all, errors as `BadArgument`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedretina import atomic
from fedretina.errors import BadArgument


def check_output(path: Path, suffixes: tuple[str, ...]) -> None:
    """Raise `BadArgument` if a file cannot be written at a path, or has another suffix: before the work, not after it."""
    if path.suffix.lower() not in suffixes:
        raise BadArgument(f"{path} cannot be written: its name should end in {' or '.join(suffixes)}")
    try:
        folder = path.resolve().parent
        if path.exists() and not path.is_file():
            raise BadArgument(f"{path} cannot be written: it is there and is no regular file")
        if not folder.is_dir():
            raise BadArgument(f"{path} cannot be written: there is no folder {folder}; make it first")
    except (OSError, RuntimeError) as error:  # no permission, name too long; links in a circle
        raise BadArgument(f"{path} cannot be written: {error}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a new file, which takes the place of `path` when the block ends well and is removed otherwise.

    Raises
    ------
    BadArgument
        If the system refuses: no space, no permission. What was at `path` is as it was.
    """
    try:
        with atomic.replacing(path.resolve(), durable=True) as fresh:  # a link stays a link: the file it names is replaced
            yield fresh
    except OSError as error:
        raise BadArgument(f"{path} cannot be written: {error.strerror or error}; nothing was changed") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in one go, whole or not at all; raises as `replacing`."""
    with replacing(path) as fresh:
        fresh.write_bytes(data)
