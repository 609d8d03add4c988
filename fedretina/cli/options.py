"""Options that several commands have, and how values of options are read."""

from pathlib import Path
from typing import Annotated

import typer

from fedretina.errors import BadArgument

Base = Annotated[Path | None, typer.Option("--base", help="The model that the receiver holds.", metavar="OLD")]


def parse_names(text: str) -> tuple[str, ...]:
    """Read names with commas between them.

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
    """Read seeds with commas between them; `default` where there are none.

    Raises
    ------
    BadArgument
        If they are no integers, negative, or equal.

    Examples
    --------
    >>> parse_seeds("3, 5", [0])
    [3, 5]
    """
    try:
        seeds = [int(part) for part in text.split(",")] if text.strip() else default
    except ValueError:
        raise BadArgument(f"--seeds {text!r}: give integers with commas between, such as 0,1,2") from None
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise BadArgument(f"--seeds {text!r}: give different integers of 0 or more")
    return seeds


def parse_pixels(text: str) -> tuple[int, int]:
    """Read height x width.

    Raises
    ------
    BadArgument
        If it is something else.

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
