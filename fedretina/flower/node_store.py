"""The versions on a node's disk; the version that was used last is also in memory."""

from functools import lru_cache
from pathlib import Path

from fedretina.dom import ReferenceStore, Version


class NodeStore(ReferenceStore):
    """A `ReferenceStore` that keeps the last version in memory: in a simulation, one node after the other asks for it.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> store, version = NodeStore(tempfile.mkdtemp()), Version.of({"w": np.ones(3)})
    >>> store.put(version)
    >>> store.get(version.digest) is version
    True
    """

    _last: Version | None = None

    def put(self, version: Version) -> None:
        """Keep a version; see `ReferenceStore.put`."""
        super().put(version)
        self._last = version

    def get(self, digest: str) -> Version | None:
        """Return a version, or None if it is not held (any more)."""
        last = self._last
        if last is not None and last.digest == digest and digest in self:
            return last
        found = super().get(digest)
        self._last = found or last
        return found


def open_store(folder: Path | str) -> NodeStore:
    """Return the store of a folder, one for each folder in this process; the folder is made if it is missing."""
    store = _store_of(Path(folder))
    store.folder.mkdir(parents=True, exist_ok=True)
    return store


@lru_cache(maxsize=4)
def _store_of(folder: Path) -> NodeStore:
    return NodeStore(folder)
