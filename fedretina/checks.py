"""Checks of configured values. Each error names the key, its value, and what is allowed."""

import math
from collections.abc import Collection, Sequence
from numbers import Integral

from fedretina.errors import BadArgument

OWN = "own"
"""The name of the target's own features in a committee; no domain may have this name."""


def check_at_least(key: str, value: object, least: int) -> None:
    """Refuse a value that is not an integer, or less than `least`.

    Parameters
    ----------
    key : str
        Name of the value, as the user spells it.
    value : object
        The value; a bool is not an integer here.
    least : int
        The smallest integer that is allowed.

    Raises
    ------
    BadArgument
        The value is refused.

    Examples
    --------
    >>> check_at_least("batch-size", 1, 2)
    Traceback (most recent call last):
    fedretina.errors.BadArgument: batch-size = 1: an integer of 2 or more is allowed
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise BadArgument(f"{key} = {value}: an integer of {least} or more is allowed")


def check_number(key: str, value: float, *, positive: bool) -> None:
    """Refuse a number that is not finite or is below 0; if `positive`, also 0.

    Parameters
    ----------
    key : str
        Name of the value, as the user spells it.
    value : float
        The value.
    positive : bool
        Whether 0 is refused.

    Raises
    ------
    BadArgument
        The value is refused.

    Examples
    --------
    >>> check_number("gamma", -1.0, positive=False)
    Traceback (most recent call last):
    fedretina.errors.BadArgument: gamma = -1.0: a number of 0 or more is allowed
    """
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        allowed = "a positive number" if positive else "a number of 0 or more"
        raise BadArgument(f"{key} = {value}: {allowed} is allowed")


def check_one_of(key: str, value: str, allowed: Collection[str]) -> None:
    """Refuse a word that is not one of the allowed ones.

    Parameters
    ----------
    key : str
        Name of the value, as the user spells it.
    value : str
        The word.
    allowed : collection of str
        All words that are allowed.

    Raises
    ------
    BadArgument
        The word is refused.

    Examples
    --------
    >>> check_one_of("device", "tpu", ["auto", "cpu"])
    Traceback (most recent call last):
    fedretina.errors.BadArgument: device = 'tpu': allowed are 'auto', 'cpu'
    """
    if value not in allowed:
        raise BadArgument(f"{key} = {value!r}: allowed are {', '.join(repr(a) for a in allowed)}")


def check_domain_name(key: str, name: str) -> None:
    """Refuse a domain's name that is not a folder's name.

    Parameters
    ----------
    key : str
        Name of the value, as the user spells it.
    name : str
        The domain.

    Raises
    ------
    BadArgument
        The name is refused.

    Examples
    --------
    >>> check_domain_name("sources", "../cuhk03")
    Traceback (most recent call last):
    fedretina.errors.BadArgument: sources = '../cuhk03': a folder's name is allowed, without / and , and no dot before it
    """
    if name == OWN:
        raise BadArgument(f"{key} = {name!r}: the committee calls the target so; rename the folder of that domain")
    if not name or name.startswith(".") or set(name) & set("/\\,"):
        raise BadArgument(f"{key} = {name!r}: a folder's name is allowed, without / and , and no dot before it")


def check_domains(target: str, sources: Sequence[str]) -> None:
    """Refuse domains of one target that are missing or named twice, or a name that is no folder's name.

    Examples
    --------
    >>> check_domains("duke", ["duke"])
    Traceback (most recent call last):
    fedretina.errors.BadArgument: target = 'duke', sources = 'duke': give one target and at least one source, all different
    """
    names = (target, *sources)
    if not sources or not all(names) or len(set(names)) < len(names):
        raise BadArgument(
            f"target = {target!r}, sources = {','.join(sources)!r}: give one target and at least one source, all different"
        )
    check_domain_name("target", target)
    for name in sources:
        check_domain_name("sources", name)
