"""Reads JSON that may be damaged or hostile: ledgers, run folders and stored results."""

import json
import re
from typing import Any

from fedretina.errors import Corrupt

MAX_DIGITS = 300
"""The most digits of an integer: one with more is no floating-point number, and no average can be taken of it."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(data: bytes) -> Any:
    r"""Return the value of UTF-8 JSON, with or without a byte order mark.

    Lone surrogates (halves of characters) become question marks: files and terminals cannot hold them.

    Raises
    ------
    Corrupt
        If it is not JSON, or an integer has more than `MAX_DIGITS` digits.

    Examples
    --------
    >>> parse_json(b'{"a": [1, 2.5, "\\ud800"]}')
    {'a': [1, 2.5, '?']}
    >>> parse_json(b"{")
    Traceback (most recent call last):
    fedretina.errors.Corrupt: not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))
    """
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text, parse_int=_integer)
        if _SURROGATE.search(text):
            replaced = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
            value = json.loads(replaced)
        return value
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"not JSON ({error})") from error


def _integer(text: str) -> int:
    digits = len(text.lstrip("-"))
    if digits > MAX_DIGITS:
        raise ValueError(f"an integer of {digits} digits; allowed: {MAX_DIGITS}")
    return int(text)
