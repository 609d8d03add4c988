"""The signed statements of streams' versions, on disk before the payloads that they speak of.

A server that is killed between the two has a statement too many, and nobody asks for it. The other order would leave a
domain's version without its signature, and every node would refuse it.
"""

import json
from pathlib import Path

from fedretina.atomic import write_bytes
from fedretina.errors import BadArgument, Corrupt
from fedretina.flower.streams import folder_name

FILE = "statements.json"
KEEP = 64
"""How many statements of a stream are kept: more than payloads, since a corrupt version is followed by the one before."""


class StatementLog:
    """The statements of the newest versions, by stream and digest.

    Parameters
    ----------
    folder : Path or None, default None
        The folder of the streams: each stream's statements lie beside its payloads. None: in memory only.

    Examples
    --------
    >>> log = StatementLog()
    >>> log.add("duke", "1f2e", b"signed")
    >>> log.find("duke", "1f2e"), log.find("duke", "another")
    (b'signed', None)
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._statements: dict[str, dict[str, bytes]] = {}

    def find(self, stream: str, digest: str) -> bytes | None:
        """Return the statement of a version, or None.

        Raises
        ------
        Corrupt
            If the file of the stream's statements is damaged.
        """
        return self._of(stream).get(digest)

    def add(self, stream: str, digest: str, statement: bytes) -> None:
        """Keep a statement; it is on the disk when this returns.

        Raises
        ------
        Corrupt
            As `find`.
        BadArgument
            If the system refuses: no space, no permission.
        """
        found = {**self._of(stream), digest: statement}
        kept = dict(list(found.items())[-KEEP:])
        if self._folder is not None:
            self._write(self._folder / folder_name(stream) / FILE, kept)
        self._statements[stream] = kept

    def _of(self, stream: str) -> dict[str, bytes]:
        if stream not in self._statements:
            path = None if self._folder is None else self._folder / folder_name(stream) / FILE
            self._statements[stream] = {} if path is None or not path.exists() else _read(path)
        return self._statements[stream]

    def _write(self, path: Path, statements: dict[str, bytes]) -> None:
        text = json.dumps({digest: statement.hex() for digest, statement in statements.items()}, indent=1)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, text.encode(), durable=True, private=True)
        except OSError as error:
            raise BadArgument(
                f"{path} cannot be written: {error.strerror or error}; free space, or give another folder"
            ) from error


def _read(path: Path) -> dict[str, bytes]:
    try:
        return {digest: bytes.fromhex(statement) for digest, statement in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Corrupt(
            f"{path} cannot be read as signed statements ({error!r}): restore the run's folder from a backup, "
            "or start a new run"
        ) from error
