"""What a node remembers of streams: the newest counters, and the attacks that it refused.

It lies outside the cache of models: whoever clears the cache rolls nothing back. Only a person who removes this file can.
Apps of several runs may work on one node at the same time. So each question reads the file, and each change holds its lock.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedretina import atomic
from fedretina.errors import BadArgument


@dataclass
class TrustMemory:
    """Counters on disk; every change is written at once, and several processes may change them.

    Parameters
    ----------
    path : Path
        The file (JSON). A missing file is an empty memory; its folder must exist.

    Raises
    ------
    BadArgument
        If the file is damaged. It is not replaced by an empty one, which would permit rollbacks.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "memory.json"
    >>> TrustMemory(path).install("duke/reuse", 3, b"digest")
    >>> TrustMemory(path).installed("duke/reuse")
    (3, b'digest')
    """

    path: Path
    _installed: dict[str, tuple[int, bytes]] = field(default_factory=dict, init=False)
    _published: dict[str, int] = field(default_factory=dict, init=False)
    _newest: tuple[int, int] = field(default=(0, 0), init=False)
    _attacks: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._load()

    def installed(self, stream: str) -> tuple[int, bytes]:
        """Return counter and digest of the newest version that was installed; (0, b"") if there was none."""
        return self.versions.get(stream, (0, b""))

    def install(self, stream: str, counter: int, digest: bytes) -> None:
        """Remember an installed version; if a newer one is remembered, that one stays."""
        with self._changing():
            if counter >= self._installed.get(stream, (0, b""))[0]:
                self._installed[stream] = (counter, digest)

    @property
    def versions(self) -> dict[str, tuple[int, bytes]]:
        """Counter and digest of the newest installed version of each stream."""
        self._load()
        return dict(self._installed)

    def next_counter(self, stream: str, *, at_least: int = 0) -> int:
        """Return the number of the next version that this node publishes, at least the given one, and remember it."""
        with self._changing():
            self._published[stream] = max(self._published.get(stream, 0) + 1, at_least)
            return self._published[stream]

    @property
    def newest(self) -> tuple[int, int]:
        """Counter and creation time (seconds since 1970) of the newest list of versions; (0, 0) before the first."""
        self._load()
        return self._newest

    def hear(self, counter: int, created: int) -> None:
        """Remember a list of newest versions; if a newer list is remembered, that one stays."""
        with self._changing():
            self._newest = max(self._newest, (counter, created))

    @property
    def attacks(self) -> dict[str, int]:
        """How often each refusal happened, by its name."""
        self._load()
        return dict(self._attacks)

    def count_attack(self, name: str) -> None:
        """Count a refusal."""
        with self._changing():
            self._attacks[name] = self._attacks.get(name, 0) + 1

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Read the file, let the block change what was read, and write it; other processes wait."""
        with atomic.locked(self.path):
            self._load()
            yield
            self._write()

    def _load(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise self._damaged() from error
        try:
            self._read(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged() from error

    def _read(self, found: dict[str, Any]) -> None:
        self._installed = {name: (int(c), bytes.fromhex(d)) for name, (c, d) in found["installed"].items()}
        self._published = {name: int(c) for name, c in found["published"].items()}
        counter, created = found["newest"]
        self._newest = (int(counter), int(created))
        self._attacks = {name: int(c) for name, c in found["attacks"].items()}

    def _write(self) -> None:
        found = {
            "installed": {name: [counter, digest.hex()] for name, (counter, digest) in sorted(self._installed.items())},
            "published": self._published,
            "newest": self._newest,
            "attacks": self._attacks,
        }
        atomic.write_bytes(self.path, json.dumps(found, indent=1).encode(), durable=True)

    def _damaged(self) -> BadArgument:
        return BadArgument(
            f"{self.path} is damaged or cannot be read; it holds the newest version of each stream, and an empty one would "
            "permit rollbacks: restore it from a backup, or remove it and compare the versions with the operator"
        )
