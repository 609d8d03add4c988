"""Versions from series of payloads: along a route, or along whatever payloads and versions are kept."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from fedretina.dom.format.codec import accept
from fedretina.dom.tensors import MAX_RAW_BYTES
from fedretina.dom.version import Version
from fedretina.dom.versions.link import Link
from fedretina.dom.versions.route import cheapest_path
from fedretina.dom.versions.store import ReferenceStore
from fedretina.errors import BadArgument, Corrupt


def follow(payloads: Iterable[bytes], *, base: Version | None, max_bytes: int = MAX_RAW_BYTES) -> Version:
    """Return the version that a series of payloads leads to.

    Parameters
    ----------
    payloads : iterable of bytes
        A `Route`'s payloads; none leads to the base itself.
    base : Version or None
        What is held.
    max_bytes : int, default 2**33
        The largest model to accept, in bytes.

    Raises
    ------
    BadArgument
        If there are neither payloads nor a base.
    UnknownBase, Corrupt, Truncated, TooNew
        As `accept`; the base stays in force.
    """
    version = base
    for payload in payloads:
        version = accept(payload, base=version, max_bytes=max_bytes)
    if version is None:
        raise BadArgument("there are neither payloads nor a base to follow")
    return version


def rebuild(links: Sequence[Link], target: str, store: ReferenceStore) -> Version | None:
    """Return a version that payloads lead to, from nothing or from a version in the store; None if there is no sound way.

    Every version on the way is put into the store.

    Parameters
    ----------
    links : sequence of Link
        The payloads, oldest first.
    target : str
        The version's digest.
    store : ReferenceStore
        Versions that payloads may build on.
    """
    for start in dict.fromkeys([None, *(link.base for link in reversed(links))]):
        path = cheapest_path(links, start, target)
        version = None if start is None or not path else store.get(start)
        if path and (start is None or version is not None):
            with suppress(Corrupt):  # it was relayed, and never decoded
                for link in path:
                    version = accept(link.payload, base=version)
                    store.put(version)
                return version
    return None
