"""Strict reading of the msgpack maps that are signed here: known fields only, each with its type, sizes bounded."""

from collections.abc import Mapping
from typing import Any

import msgpack

from fedretina.errors import Corrupt, Truncated

MAX_BYTES = 1 << 20
"""The longest document that is read, in bytes: a city root of several thousand domains."""


def pack(document: Mapping[str, Any]) -> bytes:
    """Return a document's bytes. They are signed and sent as they are; nobody serialises them again."""
    packed: bytes = msgpack.packb(dict(document))
    return packed


def unpack(data: bytes, fields: Mapping[str, type | tuple[type, ...]], what: str) -> dict[str, Any]:
    """Read a document.

    Parameters
    ----------
    data : bytes
        A msgpack map.
    fields : mapping of str to type
        The names of its fields, and the type of each.
    what : str
        What the document is, for messages.

    Raises
    ------
    Truncated
        If the bytes end early.
    Corrupt
        If the bytes are no such document, or longer than `MAX_BYTES`.

    Examples
    --------
    >>> unpack(pack({"counter": 3}), {"counter": int}, "a statement")
    {'counter': 3}
    """
    if len(data) > MAX_BYTES:
        raise Corrupt(f"{what} has {len(data)} bytes; at most {MAX_BYTES} are allowed: drop it")
    try:
        document = msgpack.unpackb(data, strict_map_key=True, use_list=True)
    except msgpack.OutOfData as error:
        raise Truncated(f"{what} ends after {len(data)} bytes, before it is complete: drop it") from error
    except ValueError as error:
        if "incomplete" in str(error):
            raise Truncated(f"{what} ends after {len(data)} bytes, before it is complete: drop it") from error
        raise Corrupt(f"{what} is no msgpack document: drop it") from error
    except (msgpack.UnpackException, TypeError, RecursionError) as error:
        raise Corrupt(f"{what} is no msgpack document: drop it") from error
    if not isinstance(document, dict) or document.keys() != fields.keys():
        raise Corrupt(f"{what} does not have the fields {', '.join(fields)}: drop it")
    for name, kind in fields.items():
        if not isinstance(document[name], kind) or isinstance(document[name], bool):
            raise Corrupt(f"{what}: the field {name} has the type {type(document[name]).__name__}: drop it")
    return document


def read_list(entry: Any, *kinds: type) -> list[Any]:
    """Return a list whose values have these types, one each.

    Raises
    ------
    ValueError
        If it is something else.

    Examples
    --------
    >>> read_list(["ed25519", b"key"], str, bytes)
    ['ed25519', b'key']
    """
    if not isinstance(entry, list) or len(entry) != len(kinds):
        raise ValueError(f"a list of {len(kinds)} is expected")
    if not all(isinstance(value, kind) and not isinstance(value, bool) for value, kind in zip(entry, kinds, strict=True)):
        raise ValueError("a value of another type is there")
    return entry


def read_versions(entries: dict[Any, Any], what: str) -> dict[str, tuple[int, bytes]]:
    """Return counter and digest by stream.

    Raises
    ------
    Corrupt
        If an entry is something else.

    Examples
    --------
    >>> read_versions({"duke/reuse": [3, b"digest"]}, "a list")
    {'duke/reuse': (3, b'digest')}
    """
    found = {}
    for name, entry in entries.items():
        match entry:
            case [int(counter), bytes(digest)] if isinstance(name, str):
                found[name] = (counter, digest)
            case _:
                raise Corrupt(f"{what} has no counter and digest for {name!r}: drop it")
    return found
