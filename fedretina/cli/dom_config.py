"""What `fedretina dom encode` was asked for, as a configuration; and errors about it in the words of the command line."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fedretina.errors import BadArgument

if TYPE_CHECKING:
    from fedretina.dom import DomConfig

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(|b|kb|mb|gb|kib|mib|gib)", re.IGNORECASE | re.ASCII)
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_size(text: str) -> int:
    """Return a number of bytes from 200kB, 1.5MB, 300KiB or plain bytes.

    Raises
    ------
    BadArgument
        If it is none of these, or less than a byte.

    Examples
    --------
    >>> parse_size("1.5MB"), parse_size("300KiB"), parse_size("4096")
    (1500000, 307200, 4096)
    """
    found = _SIZE.fullmatch(text.strip())
    size = float(found[1]) * _UNITS[found[2].lower()] if found else 0.0
    if not 1 <= size < 2.0**63:
        raise BadArgument(f"--budget is {text!r}; give bytes as in 200kB, 1.5MB, 300KiB or 204800")
    return int(size)


def config_of(
    *,
    has_base: bool,
    bits: int | None = None,
    budget: str | None = None,
    relative_error: float | None = None,
    step: float | None = None,
    rms_step: float | None = None,
    lossless: bool = False,
    keyframe_error: float | None = None,
    effort: str | None = None,
) -> "DomConfig":
    """Return the configuration that the options ask for; None and False stand for an option that was not given.

    Raises
    ------
    BadArgument
        If two options exclude each other, one would do nothing, or a value is not allowed.

    Examples
    --------
    >>> config_of(has_base=True, bits=4).bits
    4
    """
    from fedretina.dom import DomConfig

    size = None if budget is None else parse_size(budget)
    targets = {"bits": bits, "budget_bytes": size, "relative_error": relative_error, "step": step, "rms_step": rms_step}
    targets["lossless"] = lossless or None
    given: dict[str, Any] = {name: value for name, value in targets.items() if value is not None}
    _check_targets([_OPTIONS[name] for name in given], has_base=has_base, keyframe_error=keyframe_error)
    others: dict[str, Any] = {"keyframe_error": keyframe_error, "effort": effort}
    with errors_name_options():
        return DomConfig(**given, **{name: value for name, value in others.items() if value is not None})


@contextmanager
def errors_name_options() -> Iterator[None]:
    """Name in errors of the block the options that were typed, where they name fields of `DomConfig`.

    Examples
    --------
    >>> with errors_name_options():
    ...     raise BadArgument("DomConfig.bits is 99; allowed: None or an integer in [0, 15]; give one of these")
    Traceback (most recent call last):
    fedretina.errors.BadArgument: --bits is 99; allowed: an integer in [0, 15]; give one of these
    """
    try:
        yield
    except BadArgument as error:
        text = _FIELD.sub(lambda found: _OPTIONS.get(found[1], found[0]), str(error))
        raise BadArgument(text.replace("allowed: None or ", "allowed: ")) from error


_FIELD = re.compile(r"DomConfig\.(\w+)")
_OPTIONS = {
    "bits": "--bits",
    "budget_bytes": "--budget",
    "relative_error": "--relative-error",
    "step": "--step",
    "rms_step": "--rms-step",
    "lossless": "--lossless",
    "keyframe_error": "--keyframe-error",
    "effort": "--effort",
}


def _check_targets(given: list[str], *, has_base: bool, keyframe_error: float | None) -> None:
    if len(given) > 1:
        raise BadArgument(f"{' and '.join(given)} exclude each other; give one of them")
    if keyframe_error is not None and given in (["--lossless"], ["--budget"]):
        raise BadArgument(f"{given[0]} and --keyframe-error exclude each other; give one of them")
    if not has_base and given in (["--bits"], ["--relative-error"], ["--step"], ["--rms-step"]):
        raise BadArgument(f"{given[0]} is about the difference from a base; give --base, or --keyframe-error instead")
