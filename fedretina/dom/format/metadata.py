"""The text that a model file keeps beside its tensors, as a payload carries it: a msgpack map of text to text."""

from collections.abc import Mapping

import msgpack

from fedretina.errors import BadArgument, Corrupt


def pack_metadata(metadata: Mapping[str, str]) -> bytes:
    """Return the metadata's bytes, sorted by key; none for no metadata.

    Raises
    ------
    BadArgument
        If a key or a value is no text.
    """
    for key, value in metadata.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise BadArgument(f"metadata {key!r:.40} is {value!r:.40}; allowed: text to text; convert it")
    try:
        return bytes(msgpack.packb(dict(sorted(metadata.items())))) if metadata else b""
    except UnicodeEncodeError as error:
        raise BadArgument(f"the metadata is no valid Unicode: {error.reason}; correct the text") from error


def unpack_metadata(data: bytes) -> dict[str, str]:
    """Return the metadata; raise `Corrupt` if it is malformed."""
    if not data:
        return {}
    try:
        metadata = msgpack.unpackb(data, strict_map_key=True)
    except Exception as error:  # msgpack raises its own kinds, ValueError, UnicodeDecodeError, RecursionError
        raise Corrupt(f"the payload's metadata is no msgpack: {error}; drop it") from error
    if not isinstance(metadata, dict) or not all(isinstance(part, str) for pair in metadata.items() for part in pair):
        raise Corrupt("the payload's metadata is no map of text to text; drop it")
    return metadata
