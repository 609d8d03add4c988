"""Options that several commands have, and functions that read values of options."""

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
