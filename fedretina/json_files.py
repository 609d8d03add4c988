"""Read JSON that may be damaged or hostile: the one JSON reader of ledgers, run folders and stored results."""

import json
import re
from typing import Any

from fedretina.errors import Corrupt

DIGITS = 20
"""Of an integer: 64 bits and a sign."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(data: bytes) -> Any:
    r"""Parse UTF-8 JSON, with or without a byte order mark.

    Half characters (lone surrogates), which no file and no terminal takes, become question marks.

    Raises
    ------
    Corrupt
        If it is no JSON, or an integer has more than `DIGITS` digits.

    Examples
    --------
    >>> parse_json(b'{"a": [1, 2.5, "\\ud800"]}')
    {'a': [1, 2.5, '?']}
    >>> parse_json(b"{")
    Traceback (most recent call last):
    fedretina.errors.Corrupt: no JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))
    """
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text, parse_int=_integer)
        if _SURROGATE.search(text):
            whole = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
            value = json.loads(whole)
        return value
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"no JSON ({error})") from error


def _integer(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)
