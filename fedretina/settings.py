"""Reads and checks the values of a run's configuration: from the app's pyproject.toml and ``flwr run -c``."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fedretina.dom import PRESETS, DomConfig
from fedretina.errors import BadArgument

Config = Mapping[str, Any]
CODECS = ("dom", "none")
_ERRORS = "a number from 0.000001 to 0.999"


def text(config: Config, key: str) -> str:
    """Return a text.

    Raises
    ------
    BadArgument
        If the value is not text; the message names key and value, and what is allowed.
    """
    return str(_typed(config, key, str, "a text in quotes"))


def choice(config: Config, key: str, choices: Sequence[str]) -> str:
    """Return a text that is one of `choices`.

    Examples
    --------
    >>> choice({"codec": "zip"}, "codec", CODECS)
    Traceback (most recent call last):
    fedretina.errors.BadArgument: codec = 'zip': allowed are 'dom', 'none'
    """
    value = text(config, key)
    if value not in choices:
        raise BadArgument(f"{key} = {value!r}: allowed are {', '.join(map(repr, choices))}")
    return value


def names(config: Config, key: str) -> tuple[str, ...]:
    """Return names that are separated by commas.

    Examples
    --------
    >>> names({"sources": "msmt17, cuhk03"}, "sources")
    ('msmt17', 'cuhk03')
    """
    return tuple(name.strip() for name in text(config, key).split(",") if name.strip())


def flag(config: Config, key: str) -> bool:
    """Return true or false; raises as `text`."""
    return bool(_typed(config, key, bool, "true or false"))


def whole(config: Config, key: str, *, at_least: int | None = None) -> int:
    """Return an integer; raises as `text`, also if it is less than `at_least`."""
    value = int(_typed(config, key, int, "an integer"))
    if at_least is not None and value < at_least:
        raise BadArgument(f"{key} = {value}: {at_least} or more is allowed")
    return value


def number(config: Config, key: str, *, above: float | None = None) -> float:
    """Return a number; raises as `text`, also if it is not finite or not greater than `above`."""
    value = config[key]
    value = float(_typed(config, key, int if isinstance(value, int) else float, "a number"))
    if above is not None and not above < value < math.inf:
        raise BadArgument(f"{key} = {value}: a finite number of more than {above} is allowed")
    return value


def within(config: Config, key: str, least: float, most: float, allowed: str) -> Any:
    """Return a number from `least` to `most`, an integer if `least` is one; `allowed` says in words what is allowed.

    Examples
    --------
    >>> within({"bits": 16}, "bits", 0, 15, "0 to 15")
    Traceback (most recent call last):
    fedretina.errors.BadArgument: bits = 16: 0 to 15 is allowed
    """
    value = whole(config, key) if isinstance(least, int) else number(config, key)
    if not least <= value <= most:
        raise BadArgument(f"{key} = {value}: {allowed} is allowed")
    return value


def relative_errors(config: Config) -> tuple[float, float]:
    """Return the relative errors of differences and of first versions, of `relative-error` and `keyframe-error`.

    Examples
    --------
    >>> relative_errors({"relative-error": 0.25, "keyframe-error": 0.02})
    (0.25, 0.02)
    """
    delta, keyframe = (within(config, key, 1e-6, 0.999, _ERRORS) for key in ("relative-error", "keyframe-error"))
    return delta, keyframe


def codec(config: Config) -> DomConfig | None:
    """Return how models are coded: from `codec`, `relative-error`, `keyframe-error`, `bits`, and `budget` if there is one.

    Returns
    -------
    DomConfig or None
        None for codec = "none".

    Examples
    --------
    >>> codec({"codec": "dom", "relative-error": 0.1, "keyframe-error": 0.001, "bits": 0}).relative_error
    0.1
    """
    kind = choice(config, "codec", CODECS)
    bits = within(config, "bits", 0, 15, "0 (off) or an integer from 1 to 15")
    delta, keyframe = relative_errors(config)
    budget = whole(config, "budget", at_least=0) if "budget" in config else 0
    coded = DomConfig(relative_error=delta, keyframe_error=keyframe, bits=bits or None, budget_bytes=budget or None)
    return coded if kind == "dom" else None


def coding(config: Config) -> dict[str, Any]:
    """Return what `DomGrid` gets to know how models are coded: the preset of `dom-preset`, or the configuration of `codec`.

    Raises
    ------
    BadArgument
        If there is no preset of that name; if there is one, and codec = "none".

    Examples
    --------
    >>> keys = {"codec": "dom", "relative-error": 0.1, "keyframe-error": 0.001, "bits": 0}
    >>> coding(keys | {"dom-preset": "coarse"})
    {'preset': 'coarse'}
    >>> coding(keys | {"dom-preset": ""})["config"].relative_error
    0.1
    """
    preset, other = choice(config, "dom-preset", ("", *PRESETS)), codec(config)
    if preset and other is None:
        raise BadArgument(f"dom-preset = {preset!r} with codec = 'none': a preset needs codec = 'dom'; give one of them")
    return {"preset": preset} if preset else {"config": other}


def _typed(config: Config, key: str, kind: type, allowed: str) -> Any:
    value = config[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BadArgument(f"{key} = {value!r}: {allowed} is allowed")
    return value
