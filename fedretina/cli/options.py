"""Options that several commands have, and functions that read values of options."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from fedretina.errors import BadArgument

Base = Annotated[Path | None, typer.Option("--base", help="The model that the receiver holds.", metavar="OLD")]


def parse_names(text: str) -> tuple[str, ...]:
    """Return names that are separated by commas.

    Examples
    --------
    >>> parse_names("msmt17, cuhk03")
    ('msmt17', 'cuhk03')
    """
    return tuple(name.strip() for name in text.split(",") if name.strip())


def read_bytes(path: Path) -> bytes:
    """Read a small file that an argument names.

    Raises
    ------
    BadArgument
        If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadArgument(f"{path} cannot be read ({error.strerror}): check its name and permissions") from error


def parse_seeds(text: str, default: list[int]) -> list[int]:
    """Return seeds that are separated by commas; `default` if there are none.

    Raises
    ------
    BadArgument
        If a seed is not an integer, is negative, or comes twice.

    Examples
    --------
    >>> parse_seeds("3, 5", [0])
    [3, 5]
    """
    try:
        seeds = [int(part) for part in text.split(",")] if text.strip() else default
    except ValueError:
        raise BadArgument(f"--seeds {text!r}: give integers separated by commas, such as 0,1,2") from None
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise BadArgument(f"--seeds {text!r}: give different integers of 0 or more")
    return seeds


@contextmanager
def errors_about_settings(options: Mapping[str, str]) -> Iterator[None]:
    """Name in errors of the block the options that were typed: ``labelled = 2`` becomes ``--labelled 2``.

    Parameters
    ----------
    options : mapping of str to str
        Options by the setting's name.

    Examples
    --------
    >>> with errors_about_settings({"labelled": "--labelled"}):
    ...     raise BadArgument("labelled = 2.0: a number above 0, at most 1, is allowed")
    Traceback (most recent call last):
    fedretina.errors.BadArgument: --labelled 2.0: a number above 0, at most 1, is allowed
    """
    setting = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, options))}) = ")
    try:
        yield
    except BadArgument as error:
        raise BadArgument(setting.sub(lambda found: f"{options[found[1]]} ", str(error))) from error


def parse_pixels(text: str) -> tuple[int, int]:
    """Return height and width in pixels.

    Raises
    ------
    BadArgument
        If the text is not two integers with an "x" between.

    Examples
    --------
    >>> parse_pixels("256x128")
    (256, 128)
    """
    try:
        height, width = (int(side) for side in text.lower().split("x"))
    except ValueError:
        raise BadArgument(f"--size {text!r}: give height x width in pixels, such as 256x128") from None
    return height, width
