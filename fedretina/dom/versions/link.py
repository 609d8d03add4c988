"""A payload as a link from one version of a stream to the next, and a folder of such payloads."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from fedretina.atomic import remove_abandoned, write_bytes
from fedretina.dom.format.envelope import read_envelope
from fedretina.errors import BadArgument, Corrupt, TooNew

_SUFFIX = ".dom"
_log = logging.getLogger("fedretina.dom")


@dataclass(frozen=True)
class Link:
    """A payload of a stream: it leads from version `base` (None: nothing) to version `digest`, the `number`-th."""

    number: int
    base: str | None
    digest: str
    payload: bytes = field(repr=False)
    lattice: bool
    lossless: bool = False

    @property
    def is_keyframe(self) -> bool:
        """Whether the payload needs no base."""
        return self.base is None


def link_of(number: int, payload: bytes) -> Link:
    """Return the link that a payload's envelope describes; raise as `decode`, for the envelope."""
    envelope = read_envelope(payload)
    base = None if envelope.base is None else envelope.base.hex()
    return Link(number, base, envelope.result.hex(), bytes(payload), envelope.lattice, envelope.lossless)


class LinkFolder:
    """A folder of payloads, ``<number>.dom`` each; damaged files are removed, and files of a newer format passed over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadArgument(f"the stream's folder {folder} cannot be made: {error}") from error

    def load(self) -> list[Link]:
        """Return the links that are there, oldest first."""
        numbered = sorted((int(path.stem), path) for path in self._files())
        links = []
        for number, path in numbered:
            try:
                links.append(link_of(number, path.read_bytes()))
            except Corrupt:
                path.unlink(missing_ok=True)
            except (TooNew, OSError) as error:
                _log.warning("%s is passed over: %s", path, error)
        return links

    def save(self, link: Link, *, oldest: int) -> None:
        """Add a link's file, and remove those outside `oldest` to the link's number."""
        path = self.folder / f"{link.number:08d}{_SUFFIX}"
        try:
            write_bytes(path, link.payload, private=True)
        except OSError as error:
            reason = error.strerror or error
            raise BadArgument(f"{path} cannot be written: {reason}; free space, or give another folder") from error
        for path in self._files():
            if not oldest <= int(path.stem) <= link.number:
                path.unlink(missing_ok=True)
        remove_abandoned(self.folder)

    def _files(self) -> list[Path]:
        return [path for path in self.folder.glob(f"*{_SUFFIX}") if path.stem.isdecimal() and path.is_file()]
